import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { recover, removeTornFiles } from "../../cli/recover.ts";

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

/** A stack whose CLI must not be asked for its state, or that exports this. */
function stackThat(done: string[], exported?: object) {
  return {
    name: "a",
    cancel: () => Promise.resolve(),
    exportStack: () => {
      done.push("exported");
      return Promise.resolve({ version: 3, deployment: exported });
    },
    refresh: () => {
      done.push("cleared");
      return Promise.resolve({ stdout: "", stderr: "", summary: {} as never });
    },
  };
}

const cutOff = {
  pending_operations: [{ type: "creating", resource: { urn: "urn:pulumi:a::tuneup::tuneup-host:index:SftJob::a" } }],
};

test("what an update was cut off at is read from the state's file, and from the CLI where the file is none", async () => {
  const file = join(folder, ".pulumi/stacks/tuneup/a.json");
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const cleared = "Clearing what the last update was cut off at: creating SftJob.";
  const done: string[] = [];
  await writeFile(file, JSON.stringify({ version: 3, checkpoint: { latest: cutOff } }));
  await recover(stackThat(done), { say });
  expect([done.splice(0), said.splice(0)]).toEqual([["cleared"], [cleared]]);

  for (const text of ["", "{", JSON.stringify({ version: 3, checkpoint: { latest: null } })]) {
    await writeFile(file, text);
    await recover(stackThat(done, cutOff), { say });
    expect([done.splice(0), said.splice(0)]).toEqual([["exported", "cleared"], [cleared]]);
  }
});
