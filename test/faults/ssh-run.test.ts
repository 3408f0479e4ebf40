import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile, stat, statfs, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { saysDiskFull } from "../../agent/folders.ts";
import { isLocked } from "../../agent/lock.ts";
import { isAlive } from "../../agent/processes.ts";
import type { RunPaths } from "../../agent/runs/paths.ts";
import { pidIn } from "../../agent/runs/signals.ts";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import { kill, linesOf, until } from "../agent/runs/harness.ts";
import { memoryKills, runOutOfMemory } from "./memory-limit.ts";
import { send } from "./processes.ts";
import { expectSentence, expectSound } from "./soundness.ts";
import { needsRoot } from "./ssh/needs-root.ts";
import { openSshStage, type SshStage } from "./ssh/stage.ts";
import { type Cli, freezeTrainer, reportsOf, statusOf } from "./stage.ts";

/**
 * One training on a host that all of this happens to, one after the other, while one `up` follows it. It is frozen before each, so
 * that every fault comes in the middle of training, however fast the machine is.
 */
const name = "tiny";
const steps = 160;
let stage: SshStage;
let up: Cli;
/** The step whose checkpoint was damaged on purpose, and the attempt that had saved it. */
let damaged = { step: NaN, attempt: NaN };

needsRoot(
  async () => {
    // A stopped supervisor is given up after 10 s instead of 60.
    const variables = { TUNEUP_RUN_BEAT_MS: "1000", TUNEUP_RUN_STALE_MS: "10000" };
    stage = await openSshStage({ rig: { variables, disks: { runs: 600 } } });
    await stage.write(name, steps);
  },
  () => stage.remove(),
);

interface Event {
  readonly kind: string;
  readonly message: string;
}

const events = async (): Promise<Event[]> => linesOf<Event>((await stage.run(name)).events);

/** What `tuneup status` says of the run. */
async function told(): Promise<RunStatus | null> {
  const { said } = await stage.tuneup("status", name, "--json");
  return (JSON.parse(said) as { run: RunStatus | null }[])[0]?.run ?? null;
}

/** Waits for the next attempt, frozen: it went on from the newest checkpoint that was whole, and `up` still follows. */
async function nextAttempt(attempt: number): Promise<number> {
  const pid = await freezeTrainer(stage, up, name, attempt);
  const begun = (await events()).filter(({ kind }) => kind === "attempt").at(-1)?.message;
  expect(begun).toBe(`attempt ${attempt}, from the checkpoint at step ${await newestBefore(attempt)}`);
  expect(up.over(), up.said()).toBe(false);
  return pid;
}

/** The newest step that was saved before an attempt, but for the damaged one. */
async function newestBefore(attempt: number): Promise<number> {
  const saved = reportsOf(await stage.run(name)).filter((one) => one.attempt < attempt && one.kind === "checkpoint");
  const whole = saved.filter((one) => one.step !== damaged.step || one.attempt > damaged.attempt);
  return Math.max(...whole.map(({ step = NaN }) => step));
}

/** Has the supervisor taken in all that its frozen trainer had reported? */
async function hasHeardAll(paths: RunPaths): Promise<boolean> {
  const reports = reportsOf(paths);
  const last = (kind: string) => reports.findLast((report) => report.kind === kind)?.step ?? NaN;
  const saved = (await events()).findLast(({ kind }) => kind === "checkpoint")?.message ?? "";
  const logged = linesOf<{ step: number }>(paths.metrics).at(-1)?.step;
  return logged === last("log") && saved.startsWith(`checkpoint at step ${last("checkpoint")},`);
}

const pids = async () => {
  const paths = await stage.run(name);
  return { supervisor: (await pidIn(paths.supervisorPid)) ?? NaN, trainer: (await pidIn(paths.trainerPid)) ?? NaN };
};

test("16 · an empty status.json of a run that goes on hides nothing", async () => {
  up = stage.start("up", name);
  await freezeTrainer(stage, up, name, 1);
  const { status } = await stage.run(name);
  await writeFile(status, "");
  expect((await stat(status)).size).toBe(0);
  expect(await told()).toMatchObject({ state: "training", attempt: 1 });
});

test("25 · records that are an hour off, either way, change nothing", async () => {
  // The clock of the whole machine can't be set for a test: what it leaves behind is. test/agent/runs/clock.test.ts moves the processes' own.
  const { status, supervisorPid } = await stage.run(name);
  const [before, { supervisor, trainer }] = [await events(), await pids()];
  for (const hours of [1, -1]) {
    const at = new Date(Date.now() + hours * 3_600_000);
    const record = (await statusOf(await stage.run(name))) ?? (await told());
    await writeFile(status, JSON.stringify({ ...record, updatedAt: at.toISOString() }));
    await utimes(supervisorPid, at, at);
    expect(Math.abs((await stat(supervisorPid)).mtimeMs - Date.now())).toBeGreaterThan(3_000_000);
    expect(await told()).toMatchObject({ state: "training", attempt: 1 });
  }
  expect(await events()).toEqual(before);
  expect(await pids()).toEqual({ supervisor, trainer });
  expect(up.over(), up.said()).toBe(false);
});

test("22 · a trainer whose memory ran out is tried again, and the reason says so", async ({ skip }) => {
  const [{ trainer }, kills] = [await pids(), await memoryKills()];
  const ranOut = await runOutOfMemory(trainer);
  if (!ranOut) await kill(trainer);
  await nextAttempt(2);
  skip(!ranOut, "a group with little memory can be made by root on Linux with its cgroups writable alone");
  expect(await memoryKills()).toBeGreaterThan(kills);
  const retries = (await events()).filter(({ kind }) => kind === "retry");
  expect(retries.map(({ message }) => message)).toEqual([
    expect.stringContaining("memory ran out, and the kernel killed"),
  ]);
});

test("1, 15 · a killed trainer goes on from its newest checkpoint, and from the one before if that is truncated", async () => {
  const { output, torn } = await stage.run(name);
  const saved = (await readdir(output)).map((folder) => Number(/^checkpoint-(\d+)$/.exec(folder)?.[1] ?? 0));
  damaged = { step: Math.max(...saved), attempt: 2 };
  const file = `${output}/checkpoint-${damaged.step}/adapter_model.safetensors`;
  const { size } = await stat(file);
  await truncate(file, size / 2);
  expect((await stat(file)).size).toBeLessThan(size);
  await kill((await pids()).trainer);
  await nextAttempt(3);
  expect((await events()).findLast(({ kind }) => kind === "retry")?.message).toContain("SIGKILL");
  expect(await readdir(torn)).toEqual([`checkpoint-${damaged.step}`]);
  const named = `^checkpoint-${damaged.step} is not complete .*adapter_model.safetensors`;
  expect((await events()).map(({ message }) => message)).toContainEqual(expect.stringMatching(named));
});

test("2 · a killed supervisor is replaced, and its trainer saves before another one trains", async () => {
  const { supervisor, trainer } = await pids();
  const { lock, supervisorPid } = await stage.run(name);
  await kill(supervisor);
  await until(async () => isLocked(lock) && (await pidIn(supervisorPid)) !== supervisor);
  expect(isAlive(trainer)).toBe(true);
  send(trainer, "SIGCONT");
  await nextAttempt(4);
  expect(isAlive(trainer)).toBe(false);
});

test("3, 12, 17 · the host reboots: both are killed, /tmp is empty, the dead one's lock lies there, and up goes on", async () => {
  const { supervisor, trainer } = await pids();
  const { lock } = await stage.run(name);
  await stage.rig.inside(["touch", "/tmp/left"], "user");
  await stage.rig.reboot();
  expect([supervisor, trainer].filter(isAlive)).toEqual([]);
  expect(await stage.rig.inside(["ls", "/tmp"])).toBe("");
  expect(existsSync(lock)).toBe(true);
  await nextAttempt(5);
  expect((await events()).some(({ kind }) => kind === "attached")).toBe(true);
});

test("24 · a stopped supervisor is taken over, and woken it ends without touching anything", async () => {
  const paths = await stage.run(name);
  const { supervisor: old, trainer } = await pids();
  send(old, "SIGSTOP");
  await until(() => readFileSync(`/proc/${old}/stat`, "utf8").includes(") T "));
  expect(isLocked(paths.lock)).toBe(true);
  await until(async () => (await pidIn(paths.supervisorPid)) !== old && isLocked(paths.lock));
  send(trainer, "SIGCONT");
  await nextAttempt(6);
  expect(isAlive(trainer)).toBe(false);
  // Both are there; the new one's trainer is frozen, so that nobody writes but the old one, if it does.
  expect(isAlive(old)).toBe(true);
  await until(() => hasHeardAll(paths));
  const files = [paths.events, paths.metrics, paths.reports, paths.token];
  const before = await Promise.all(files.map((file) => readFile(file, "utf8")));
  const now = await pids();
  send(old, "SIGCONT");
  await until(() => !isAlive(old));
  expect(await readFile(paths.supervisorLog, "utf8")).toContain(`process ${old} ends`);
  expect(await Promise.all(files.map((file) => readFile(file, "utf8")))).toEqual(before);
  expect(await pids()).toEqual(now);
  expect(isAlive(now.trainer)).toBe(true);
});

test("13 · a disk that is full while a checkpoint is saved is told, and with room the next up goes on", async () => {
  const paths = await stage.run(name);
  const { blocks, bavail, bsize } = await statfs(paths.directory);
  const used = ((blocks - bavail) * bsize) / 2 ** 20;
  await stage.rig.resize("runs", Math.ceil(used) + 1);
  send((await pids()).trainer, "SIGCONT");
  let least = Infinity;
  await until(async () => {
    const room = await statfs(paths.directory);
    least = Math.min(least, room.bavail * room.bsize);
    return up.over();
  });
  // Of most files the half that was written is removed later, to make room; safetensors takes its own back at once, and says why.
  const wasRefused = reportsOf(paths).some(({ message = "" }) => saysDiskFull(message));
  expect([least < 2 ** 20, wasRefused]).toContain(true);
  const { code, said } = await up.ended;
  expectSentence({ code, said }, /The disk is too full for this run, and .* are free/);
  expect(await told()).toMatchObject({ state: "failed", fault: { code: "disk-full", blame: "infrastructure" } });

  await stage.rig.resize("runs", 600);
  await expectSound(stage, name);
  const attempts = reportsOf(paths).filter(({ kind }) => kind === "begin");
  const seventh = attempts.find(({ attempt }) => attempt === 7)?.step;
  expect(seventh).toBe(await newestBefore(7));
  expect(existsSync(join(paths.directory, "trash"))).toBe(false);
});
