import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { removeTornFiles } from "../../cli/recover.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-recover-"));
  await mkdir(join(folder, ".pulumi/stacks/tuneup"), { recursive: true });
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}`);
  vi.stubEnv("PULUMI_HOME", join(folder, "home"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

test("in a user's own file backend, attributes that a kill left half-written are removed, and nothing else", async () => {
  const state = join(folder, ".pulumi/stacks/tuneup");
  const files = { "a.json": "", "a.json.attrs": "", "a.json.bak.attrs": '{"md5": "x"}', "b.json.attrs": "" };
  for (const [name, text] of Object.entries(files)) await writeFile(join(state, name), text);
  const said: string[] = [];
  await removeTornFiles("a", (line) => said.push(line));
  const left = Object.keys(files).filter((name) => existsSync(join(state, name)));
  expect(left).toEqual(["a.json", "a.json.bak.attrs", "b.json.attrs"]);
  expect(said).toEqual([`Clearing what a killed pulumi left half-written: ${state}/a.json.attrs.`]);
});

test("nothing is touched while a living pulumi holds the stack", async () => {
  const locks = join(folder, ".pulumi/locks/organization/tuneup/a");
  await mkdir(locks, { recursive: true });
  await writeFile(join(locks, "lock.json"), JSON.stringify({ pid: process.pid, hostname: "here" }));
  const torn = join(folder, ".pulumi/stacks/tuneup/a.json.attrs");
  await writeFile(torn, "");
  await removeTornFiles("a", () => undefined);
  expect(existsSync(torn)).toBe(true);
});
