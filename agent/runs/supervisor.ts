import { existsSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { asFault, Fault } from "../../recipe/fault.ts";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import { runMetric } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { readLines, writeAtomically } from "../files.ts";
import { diskFullFault, freeBytes, saysDiskFull } from "../folders.ts";
import { isLocked, waitForLock } from "../lock.ts";
import { Attempt, metricOf } from "./attempt.ts";
import { type Checkpoint, emptyTrash, quarantine, removeAside } from "./checkpoints.ts";
import { writeResult } from "./completion.ts";
import { Fence } from "./fence.ts";
import { Journal } from "./journal.ts";
import { breakLeaseOf, takeTrainerLease } from "./lease.ts";
import { type RunPaths, runPaths } from "./paths.ts";
import { isTerminal, readRun } from "./record.ts";
import { trainerReport } from "./reports.ts";
import { ownRecord, signalTrainer } from "./signals.ts";
import { idle, type StatusPatch } from "./status-patch.ts";
import { pythonTrainer, type TrainerCommand } from "./trainer.ts";
import { type Timing, timingOf } from "./timing.ts";
import { damaged, fullDisk, isSame, judge, type TrainerEnd, unloadable, type Verdict, withoutIt } from "./verdict.ts";

/** `node agent.mjs supervise --data-directory D --run R --token T`, started detached by run-declare. */
export async function supervise(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { "data-directory": { type: "string" }, run: { type: "string" }, token: { type: "string" } },
  });
  const { "data-directory": dataDirectory, run, token } = values;
  if (dataDirectory === undefined || run === undefined || token === undefined) {
    throw new Error("supervise needs --data-directory, --run and --token.");
  }
  await superviseRun(layoutOf(dataDirectory), run, token, pythonTrainer, timingOf(process.env));
}

/** Somebody who only looks at the lock may hold it for an instant; a supervisor that is there already holds it for good. */
const lockPatience = 3000;

/**
 * Takes a declared run to its end, holding its lock as long as it lives. Returns at once if another supervisor holds the lock,
 * `token` is not the run's any more, or there is nothing to do. SIGTERM stops the run: checkpoint, then `stopped`.
 */
export async function superviseRun(
  layout: Layout,
  run: string,
  token: string,
  trainer: TrainerCommand,
  timing: Timing,
): Promise<void> {
  const paths = runPaths(layout, run);
  // Deleted before we came to it: taking the lock would make its folder anew.
  if (!existsSync(paths.spec)) return;
  const lock = await waitForLock(paths.lock, { signal: AbortSignal.timeout(lockPatience), pollMs: 50 }).catch(
    () => undefined,
  );
  if (lock === undefined) return;
  const fence = new Fence(paths, token);
  const stop = new AbortController();
  let beating: NodeJS.Timeout | undefined;
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
  process.on("SIGHUP", () => undefined);
  // Our own log lies on the same disk: that it is full must not end us.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    const record = await readRun(paths);
    if (record === undefined || isTerminal(record.status.state)) return;
    // Another one was started since: this one was too slow to come.
    fence.guard();
    await writeAtomically(paths.supervisorPid, ownRecord(), 0o600, fence.guard);
    beating = fence.beat(timing.beat);
    const trouble = (thrown: unknown): void => console.error("The run's record:", thrown);
    const journal = new Journal(paths, record.status, trouble, fence.guard);
    journal.update({ supervisorPid: process.pid });
    await journal.flush();
    await journal.reserveSpace();
    const supervision = new Supervision({
      layout,
      paths,
      spec: record.spec,
      journal,
      trainer,
      timing,
      fence,
      stop: stop.signal,
    });
    await supervision.run().catch(async (thrown: unknown) => {
      console.error(thrown);
      await fail(journal, await troubleOf(thrown, paths.directory));
    });
  } finally {
    clearInterval(beating);
    lock.release();
  }
}

async function fail(journal: Journal, fault: Fault): Promise<void> {
  await journal.enter("failed", fault.sentence, { fault: fault.toFacts(), ...ended() });
  await journal.event("fault", fault.sentence);
}

/** Our own trouble: a full disk is told as such. */
async function troubleOf(thrown: unknown, folder: string): Promise<Fault> {
  const fault = asFault(thrown);
  return fault.blame === "bug" && saysDiskFull(fault.message) ? diskFullFault("this run", folder) : fault;
}

function ended(): StatusPatch {
  return { ...idle, endedAt: new Date().toISOString() };
}

interface SupervisionPlan {
  readonly layout: Layout;
  readonly paths: RunPaths;
  readonly spec: RunSpec;
  readonly journal: Journal;
  readonly trainer: TrainerCommand;
  readonly timing: Timing;
  readonly fence: Fence;
  readonly stop: AbortSignal;
}

/** Bytes that must be free before a run that filled the disk is tried again: room for logs beside a small adapter. */
const leastRoom = 200_000_000;

/** With less than this free, a disk is full. */
const fullBelow = 5_000_000;

class Supervision {
  readonly #plan: SupervisionPlan;
  /** What was wrong with the result of the last attempt, if it had one. */
  #problem: string | undefined;
  #hasSetAside = false;

  constructor(plan: SupervisionPlan) {
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const { layout, paths, spec, journal, fence, stop } = this.#plan;
    await emptyTrash(paths.trash);
    await this.#awaitOrphan();
    await breakLeaseOf(layout, spec.run, paths);
    await this.#catchUp();
    if (await this.#completeIfDone()) return;
    const lease = await takeTrainerLease(
      layout,
      { run: spec.run, token: fence.token },
      {
        signal: stop,
        onWait: (holder) => void journal.enter("queued", `waits for ${holder ?? "another run"} to end on this host`),
      },
    ).catch(() => undefined);
    if (lease === undefined) return this.#stopped();
    try {
      await this.#attempts();
    } finally {
      lease.release();
    }
  }

  async #attempts(): Promise<void> {
    const { journal } = this.#plan;
    let previous: Verdict | undefined;
    let [waits, furthest] = [0, -1];
    for (;;) {
      if (this.#isStopping()) return this.#stopped();
      const end = await new Attempt(this.#plan).run();
      if (await this.#completeIfDone()) return;
      if (this.#isStopping()) return this.#stopped();
      // It came further than ever: whatever happened before is behind it, and it has all its attempts again.
      if ((end.saved ?? -1) > furthest) {
        [waits, furthest] = [0, end.saved ?? -1];
        previous = undefined;
      }
      const verdict = await this.#judge(end);
      const isHopeless = verdict.retry === "never" || (verdict.retry === "once" && isSameAs(previous, verdict));
      const taken = isHopeless ? undefined : await this.#wait(verdict, waits);
      if (taken === undefined) return fail(journal, await this.#told(verdict, waits + 1));
      waits += taken;
      previous = verdict;
    }
  }

  /** Waits before the next attempt, for room on the disk as often as waits are left. How many it took; undefined if that was all in vain. */
  async #wait(verdict: Verdict, before: number): Promise<number | undefined> {
    const { journal, timing, stop } = this.#plan;
    for (let taken = 1; ; taken++) {
      const wait = timing.backoff[before + taken - 1];
      if (wait === undefined) return undefined;
      await journal.event("retry", `${verdict.fault.message} Tries again in ${wait / 1000} s.`);
      await journal.enter("training", `tries again in ${wait / 1000} s: ${verdict.fault.message}`);
      await delay(wait, undefined, { signal: stop }).catch(() => undefined);
      if (verdict.retry !== "room" || this.#isStopping() || !(await this.#lacksRoom())) return taken;
    }
  }

  #isStopping(): boolean {
    return this.#plan.stop.aborted;
  }

  async #judge(end: TrainerEnd): Promise<Verdict> {
    const verdict = this.#problem === undefined ? judge(end) : damaged(this.#problem);
    const culprit = this.#hasSetAside ? undefined : unloadable(end, verdict);
    if (culprit !== undefined) return this.#setAside(culprit, verdict);
    // Many libraries don't say that the disk was full when they failed.
    const isFull = verdict.retry !== "never" && (await freeBytes(this.#plan.paths.directory)) < fullBelow;
    return isFull ? fullDisk : verdict;
  }

  /** One checkpoint at most is taken for the culprit: the next failure of the kind is not the checkpoints'. */
  async #setAside(culprit: Checkpoint, verdict: Verdict): Promise<Verdict> {
    const { journal, paths, fence } = this.#plan;
    this.#hasSetAside = true;
    await quarantine(culprit.path, paths, fence.guard);
    await journal.event("note", `${basename(culprit.path)} can't be loaded: not used, moved to torn/`);
    return withoutIt(culprit, verdict);
  }

  /** The fault as it is stored: a full disk in bytes, a fault that came back with how often. */
  async #told({ retry, fault }: Verdict, attempts: number): Promise<Fault> {
    if (retry === "room") return diskFullFault("this run", this.#plan.paths.directory);
    return new Fault(
      attempts === 1 ? fault : { ...fault, message: `${fault.message} This was attempt ${attempts} in a row.` },
    );
  }

  async #lacksRoom(): Promise<boolean> {
    const { torn, trash } = this.#plan.paths;
    await removeAside(torn, trash, this.#plan.fence.guard);
    return (await freeBytes(this.#plan.paths.directory)) < leastRoom;
  }

  /** A trainer whose supervisor died saves a checkpoint and ends by itself; one that hangs is killed. */
  async #awaitOrphan(): Promise<void> {
    const { journal, paths, timing } = this.#plan;
    if (!isLocked(paths.trainerLock)) return;
    await journal.event("note", "waits for the trainer of a supervisor that died: it saves a checkpoint and ends");
    const kill = setTimeout(() => void signalTrainer(paths, "SIGKILL"), timing.stopGrace);
    await signalTrainer(paths, "SIGTERM");
    const lock = await waitForLock(paths.trainerLock).finally(() => clearTimeout(kill));
    lock.release();
  }

  /** Takes in what the trainer reported when nobody listened. */
  async #catchUp(): Promise<void> {
    const { journal, paths } = this.#plan;
    // Not by their times alone: a clock that was set back would hide what came after.
    const nameOf = ({ at, attempt, step }: { at: string; attempt: number; step: number }) => `${at} ${attempt} ${step}`;
    const known = new Set((await readLines(paths.metrics, runMetric)).map(nameOf));
    for (const report of await readLines(paths.reports, trainerReport)) {
      if (report.kind === "log" && !known.has(nameOf(report))) await journal.metric(metricOf(report));
    }
  }

  /** Completes the run if the trainer reported that all steps are done and the result is whole. */
  async #completeIfDone(): Promise<boolean> {
    const { journal, paths, fence } = this.#plan;
    const { done, problem } = await writeResult(this.#plan);
    this.#problem = problem;
    if (done === undefined) return false;
    await journal.enter("complete", `all ${done.step} steps are done`, { ...ended(), ...done, fault: undefined });
    for (const folder of [paths.cache, paths.torn]) await removeAside(folder, paths.trash, fence.guard);
    return true;
  }

  async #stopped(): Promise<void> {
    const { journal } = this.#plan;
    const { step, totalSteps } = journal.status;
    const where = totalSteps === 0 ? "before its first step" : `after step ${step} of ${totalSteps}`;
    await journal.enter("stopped", `stopped ${where}`, ended());
  }
}

function isSameAs(previous: Verdict | undefined, verdict: Verdict): boolean {
  return previous !== undefined && isSame(previous, verdict);
}
