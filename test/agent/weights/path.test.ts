import { mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { weightsEnsure, weightsRead } from "../../../agent/weights/commands.ts";
import { listen } from "../context.ts";
import { fakeModel } from "./fake-model.ts";

let root: string;
let home: string;
let model: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-weights-"));
  home = join(root, "home");
  model = await fakeModel(join(root, "my model"));
});
afterEach(() => rm(root, { recursive: true }));

const shard = "model-00002-of-00002.safetensors";
const ensure = () =>
  weightsEnsure({ dataDirectory: home, environment: "/nowhere", model: { source: "path", id: model } }, listen());
const read = () => weightsRead({ dataDirectory: home, path: model }, listen());

it("adopts a folder where it is and writes nothing into it", async () => {
  const before = await readdir(model);
  const { path, record, created } = await ensure();
  expect({ path, created }).toEqual({ path: model, created: true });
  expect(record.files.map((file) => file.path)).toEqual(before.toSorted());
  expect(await readdir(model)).toEqual(before);
  expect(await ensure()).toMatchObject({ created: false, record: { revision: record.revision } });
});

it("does the work of two at once in one", async () => {
  const both = await Promise.all([ensure(), ensure()]);
  expect(both.map(({ created }) => created).toSorted()).toEqual([false, true]);
});

it("refuses a folder with a truncated shard in one sentence", async () => {
  await truncate(join(model, shard), 40);
  await expect(ensure()).rejects.toMatchObject({
    code: "weights-invalid",
    property: "model.id",
    message: expect.stringContaining(`${shard} is truncated`) as string,
  });
});

it("sees missing, shorter and edited files, and not those that were only touched", async () => {
  await ensure();
  expect((await read())?.damage).toBeUndefined();
  const path = join(model, shard);
  await utimes(path, 1, 1);
  expect((await read())?.damage).toBeUndefined();
  const { size, mtime, atime } = await stat(path);
  await writeFile(path, Buffer.alloc(size, 1));
  expect((await read())?.damage).toBe(`${path} has other content than when it was prepared.`);
  // A restored time hides an edit from a look at sizes and times, as documented; the shard's form is still checked at ensure.
  await utimes(path, atime, mtime);
  await truncate(path, 30);
  expect((await read())?.damage).toContain(`${path} has 30 bytes (30) instead of ${size}`);
  await rm(path);
  expect((await read())?.damage).toBe(`${path} is missing.`);
});

it("knows nothing of a folder that was never prepared", async () => {
  expect(await read()).toBeNull();
});
