import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LineReader } from "../../../agent/runs/line-reader.ts";

let folder: string;
let path: string;
let reader: LineReader;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tuneup-lines-"));
  path = join(folder, "log");
  reader = new LineReader(path);
});
afterEach(async () => {
  await reader.close();
  rmSync(folder, { recursive: true });
});

test("waits for the file and for whole lines, letters of several bytes included", async () => {
  expect(await reader.read()).toEqual([]);
  const text = Buffer.from("你好\nzwei");
  writeFileSync(path, text.subarray(0, 4));
  expect(await reader.read()).toEqual([]);
  appendFileSync(path, text.subarray(4));
  expect(await reader.read()).toEqual(["你好"]);
  expect(reader.unfinished).toBe("zwei");
  appendFileSync(path, "!\n\nlast\n");
  expect(await reader.read()).toEqual(["zwei!", "", "last"]);
});

test("reads an old file to its end before the one that replaced it", async () => {
  writeFileSync(path, "one\n");
  expect(await reader.read()).toEqual(["one"]);
  appendFileSync(path, "two\n");
  renameSync(path, `${path}.1`);
  writeFileSync(path, "three\n");
  expect(await reader.read()).toEqual(["two", "three"]);
});

test("begins again in a file that was truncated", async () => {
  writeFileSync(path, "one\ntwo\n");
  await reader.read();
  truncateSync(path, 0);
  expect(await reader.read()).toEqual([]);
  appendFileSync(path, "new\n");
  expect(await reader.read()).toEqual(["new"]);
});

test("begins where it is told", async () => {
  writeFileSync(path, "one\ntwo\n");
  const late = new LineReader(path, 4);
  expect(await late.read()).toEqual(["two"]);
  await late.close();
});
