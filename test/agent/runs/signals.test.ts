import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type HeldLock, tryLock } from "../../../agent/lock.ts";
import { identityOf } from "../../../agent/process-identity.ts";
import { killFenced } from "../../../agent/runs/fence.ts";
import { runPaths } from "../../../agent/runs/paths.ts";
import { bootNow, ownRecord, signalTrainer } from "../../../agent/runs/signals.ts";
import { layoutOf } from "../../../recipe/layout.ts";

let root: string;
let bystander: ChildProcess;
let lock: HeldLock | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tuneup-signals-"));
  bystander = spawn("sleep", ["600"], { detached: true });
  mkdirSync(paths().fenced, { recursive: true });
  // The trainer has its lock, and its record is still that of the one before.
  lock = tryLock(paths().trainerLock);
});
afterEach(() => {
  lock?.release();
  bystander.kill("SIGKILL");
  rmSync(root, { recursive: true });
});

const paths = () => runPaths(layoutOf(root), "mine-1");
const pid = () => bystander.pid ?? NaN;
const started = () => identityOf(pid())?.startedAt ?? "";

/** The signal that ends the process, if none did before: this one comes after all others that wait. */
function endedBy(): Promise<NodeJS.Signals | null> {
  const ended = new Promise<NodeJS.Signals | null>((resolve) => bystander.once("exit", (_code, by) => resolve(by)));
  bystander.kill("SIGVTALRM");
  return ended;
}

test.each([
  ["was started at another time", () => `${pid()}\n${bootNow() ?? ""}\n1\n`],
  ["lived in another boot", () => `${pid()}\n00000000-0000-0000-0000-000000000000\n${started()}\n`],
  ["is no process", () => "\n"],
])("a process with the id of one that %s hears nothing", async (_what, record) => {
  writeFileSync(paths().trainerPid, record());
  await signalTrainer(paths(), "SIGTERM");
  await signalTrainer(paths(), "SIGKILL");
  writeFileSync(`${paths().fenced}/old.pid`, record());
  expect(await killFenced(paths(), "old")).toBe(false);
  expect(await endedBy()).toBe("SIGVTALRM");
});

test.each([
  ["this release", () => `${pid()}\n${bootNow() ?? ""}\n${started()}\n`],
  ["an older release", () => `${pid()}\n${bootNow() ?? ""}\n`],
  ["an older release's trainer", () => String(pid())],
])("a process of a record of %s hears the signal", async (_what, record) => {
  writeFileSync(paths().trainerPid, record());
  await signalTrainer(paths(), "SIGTERM");
  expect(await endedBy()).toBe("SIGTERM");
});

test("a record tells of the process that wrote it", () => {
  expect(ownRecord()).toBe(`${process.pid}\n${bootNow() ?? ""}\n${identityOf(process.pid)?.startedAt ?? ""}\n`);
});
