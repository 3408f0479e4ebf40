import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { environmentEnsure, environmentRead } from "../../../agent/environment/commands.ts";
import { environmentLock } from "../../../agent/environment/identity.ts";
import { listen } from "../context.ts";
import { type FakeTools, makeFakeTools } from "./fake-tools.ts";

let root: string;
let home: string;
let tools: FakeTools;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-image-"));
  home = join(root, "home");
  tools = await makeFakeTools(root);
  vi.stubEnv("PATH", tools.bin);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const lock = environmentLock();
/** As a Pod without a GPU makes it for those that have one. */
const ensure = (dataDirectory: string, device: "auto" | "cpu" | "cuda") =>
  environmentEnsure({ dataDirectory, device, elsewhere: true }, listen());
const installs = async () =>
  (await tools.calls()).filter((call) => call[1] === "install" && !call.includes("--dry-run"));

it("takes the environment of a Pod's image that is of this lock and device, and puts nothing on the volume", async () => {
  const image = join(root, "image");
  const { path } = await ensure(image, "cuda");
  vi.stubEnv("TUNEUP_IMAGE", image);
  const done = (await installs()).length;
  expect(await ensure(home, "auto")).toMatchObject({ path, created: false, record: { device: "cuda" } });
  expect(await environmentRead({ dataDirectory: home, lock }, listen())).toMatchObject({ path });
  expect([(await installs()).length, existsSync(join(home, "env"))]).toEqual([done, false]);
  // Another device's, or a torn one, is none.
  expect(await ensure(home, "cpu")).toMatchObject({ path: `${home}/env/${lock.slice(0, 12)}-cpu`, created: true });
  await rm(join(path, ".complete"));
  expect(await ensure(home, "auto")).toMatchObject({ path: `${home}/env/${lock.slice(0, 12)}-cuda`, created: true });
});

it("takes PyPI's torch for a GPU that is elsewhere: PyTorch's index would give the CPU's build here", async () => {
  await tools.behave({ index: true });
  expect((await ensure(home, "cuda")).record).toMatchObject({ device: "cuda", torchSource: "pypi" });
  const [install, ...more] = await installs();
  expect(more).toEqual([]);
  expect(install).not.toContain("--torch-backend");
});
