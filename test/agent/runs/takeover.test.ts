import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isLocked } from "../../../agent/lock.ts";
import { isAlive } from "../../../agent/processes.ts";
import { runRead } from "../../../agent/runs/commands.ts";
import { Fence, fencedAlive, fenceOff, issueToken } from "../../../agent/runs/fence.ts";
import { HeartbeatWatch } from "../../../agent/runs/heartbeat.ts";
import { collect, linesOf, makeHost, until } from "./harness.ts";

const run = "mine-1";
const holder = fileURLToPath(new URL("./stopped-holder.ts", import.meta.url));
let host: ReturnType<typeof makeHost>;
let paused: number | undefined;
beforeEach(() => {
  // Ten looks of who waits make 4 s: long enough that a supervisor on a busy machine is not taken for a stopped one.
  host = makeHost({ TUNEUP_RUN_BEAT_MS: "400", TUNEUP_RUN_STALE_MS: "4000" });
});
afterEach(async () => {
  if (paused !== undefined && isAlive(paused)) process.kill(paused, "SIGKILL");
  paused = undefined;
  await host.clean();
});

const declare = (name = run) =>
  host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec(name) }, collect());
const wait = (context = collect(), name = run) =>
  host.runWait({ dataDirectory: host.dataDirectory, run: name }, context);
const read = (name = run) => runRead({ dataDirectory: host.dataDirectory, run: name }, collect());

/** A run that trains, with a supervisor that is stopped (SIGSTOP) in the middle of it. Returns its pid. */
async function pausedRun(name = run): Promise<number> {
  host.plan({ steps: 8, hold: 5 }, name);
  await declare(name);
  await host.held(name);
  const pid = (await host.supervisorPid(name)) ?? NaN;
  process.kill(pid, "SIGSTOP");
  paused = pid;
  await until(() => stateOf(pid) === "T");
  return pid;
}

/** The kernel's letter for what a process does: T stopped, Z dead. */
function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat[stat.lastIndexOf(")") + 2] ?? "";
}

/** Attempts as trainers reported them, in the order of their lines: one that lived on would report after its successor. */
function attemptsInOrder(): number[] {
  return linesOf<{ attempt: number }>(host.paths().reports).map(({ attempt }) => attempt);
}

describe.skipIf(process.platform !== "linux")("a supervisor that is stopped", () => {
  test("is taken over, its trainer saves first, and woken it ends without touching anything", async () => {
    const old = await pausedRun();
    const trainer = (await host.trainerPid()) ?? NaN;
    expect(isLocked(host.paths().lock)).toBe(true);
    const context = collect();
    const waiting = wait(context);
    await until(async () => (await host.supervisorPid()) !== old && isLocked(host.paths().lock));
    await until(() => !isAlive(trainer));
    // The new one goes on from what the old one's trainer saved when it was asked to end.
    host.release();
    const { status, manifest } = await waiting;
    expect(status).toMatchObject({ state: "complete", attempt: 2 });
    expect(context.logged.join()).toContain("no sign of life");
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 5");
    expect(host.events().some(({ message }) => message.includes("another one takes over"))).toBe(true);
    expect(attemptsInOrder()).toEqual(attemptsInOrder().toSorted((a, b) => a - b));

    expect(stateOf(old)).toBe("T");
    expect(await fencedAlive(host.paths())).toHaveLength(1);
    await until(() => !isLocked(host.paths().lock));
    const files = ["status", "events", "metrics", "manifest", "reports", "token"] as const;
    const contents = () => Object.fromEntries(files.map((name) => [name, readFileSync(host.paths()[name], "utf8")]));
    const before = contents();
    process.kill(old, "SIGCONT");
    await until(() => !isAlive(old));
    expect(contents()).toEqual(before);
    expect(readFileSync(host.paths().supervisorLog, "utf8")).toContain(`process ${old} ends`);
    expect(manifest.step).toBe(8);
    expect((await read())?.damage).toBeUndefined();
  });

  test("woken while the new one trains, it ends and the new trainer goes on", async () => {
    const old = await pausedRun();
    const waiting = wait();
    const { directory } = host.paths();
    await until(() => attemptsInOrder().includes(2) || existsSync(`${directory}/manifest.json`));
    // Held again before its next step, if it has one left: step 5 was saved.
    await host.held();
    const second = (await host.trainerPid()) ?? NaN;
    process.kill(old, "SIGCONT");
    await until(() => !isAlive(old));
    expect(isAlive(second)).toBe(true);
    expect(isLocked(host.paths().trainerLock)).toBe(true);
    host.release();
    expect((await waiting).status).toMatchObject({ state: "complete", attempt: 2 });
  });

  test("gives the host's lease to the one that takes over, and to nobody else's run before", async () => {
    await pausedRun();
    host.plan({ steps: 2 }, "other-1");
    await declare("other-1");
    await until(async () => (await read("other-1"))?.status.detail?.startsWith("waits for mine-1") === true);
    const waiting = wait();
    host.release();
    expect((await waiting).status.state).toBe("complete");
    expect((await wait(collect(), "other-1")).status.state).toBe("complete");
  });

  test("with the host's lease and not yet its name on it does not keep it from the one that took over", async () => {
    const { fenced } = host.paths();
    mkdirSync(fenced, { recursive: true });
    const lease = `${host.layout.locks}/trainer-lease`;
    const words = [holder, `${fenced}/old.pid`, `${fenced}/old.lock`, lease];
    paused = spawn(process.execPath, words, { stdio: "ignore" }).pid;
    await until(() => existsSync(`${fenced}/old.pid`) && stateOf(paused ?? NaN) === "T");
    // What a holder that was killed left.
    writeFileSync(`${lease}.json`, JSON.stringify({ run: "other-1", token: "dead" }));
    host.plan({ steps: 2 });
    await declare();
    expect((await wait()).status.state).toBe("complete");
    expect(isAlive(paused ?? NaN)).toBe(false);
  });

  test("is ended by a stop, and its trainer saves first", async () => {
    const old = await pausedRun();
    const trainer = (await host.trainerPid()) ?? NaN;
    const { status } = await host.runStop({ dataDirectory: host.dataDirectory, run }, collect());
    // The kernel told the trainer, which saved what it had.
    expect(status).toMatchObject({ state: "stopped" });
    // The kernel drops a lock a moment before the process is gone.
    await until(() => !isAlive(old) && !isAlive(trainer));
    expect(readdirSync(host.paths().output)).toContain("checkpoint-5");
  });

  test("that was taken over is ended by a stop", async () => {
    const old = await pausedRun();
    const waiting = wait();
    host.release();
    await waiting;
    expect(stateOf(old)).toBe("T");
    await host.runStop({ dataDirectory: host.dataDirectory, run }, collect());
    await until(() => !isAlive(old));
    expect(existsSync(host.paths().fenced)).toBe(false);
  });
});

describe("a fence", () => {
  test("holds as long as its token is the run's", async () => {
    const paths = host.paths();
    const token = await issueToken(paths);
    const fence = new Fence(paths, token);
    expect(fence.holds).toBe(true);
    await fenceOff(paths);
    expect(fence.holds).toBe(false);
    expect(new Fence(paths, await issueToken(paths)).holds).toBe(true);
    expect(fence.holds).toBe(false);
  });
});

describe("a heartbeat", () => {
  test("counts only time in which it was looked for, whatever the clock of the day says", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    const pid = (await host.supervisorPid()) ?? NaN;
    process.kill(pid, "SIGSTOP");
    let now = 0;
    const watch = new HeartbeatWatch(host.paths(), { beat: 5000, stale: 60_000 }, () => now);
    try {
      const looks: boolean[] = [];
      // Whoever looks slept for an hour after the second look: that hour is one beat.
      for (const passed of [0, 5000, 3_600_000, ...Array<number>(12).fill(5000)]) {
        now += passed;
        looks.push((await watch.look()) !== undefined);
      }
      expect(looks.indexOf(true)).toBe(12);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    // A sign of life, by a clock that was set back for an hour, begins the count anew.
    writeFileSync(host.paths().supervisorPid, `${pid}\n`);
    now += 5000;
    expect(await watch.look()).toBeUndefined();
  });

  test("of a run that nobody holds is nobody's", async () => {
    let now = 0;
    const watch = new HeartbeatWatch(host.paths(), { beat: 5000, stale: 10_000 }, () => now);
    for (; now < 100_000; now += 5000) expect(await watch.look()).toBeUndefined();
  });
});
