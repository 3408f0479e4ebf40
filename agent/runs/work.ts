import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { Fault } from "../../recipe/fault.ts";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import { runProgress } from "../../recipe/run-progress.ts";
import { writeAtomically } from "../files.ts";
import { waitForLock } from "../lock.ts";
import { completeSince, discardResult } from "./declare.ts";
import { Fence, issueToken } from "./fence.ts";
import { Journal } from "./journal.ts";
import { damageOf } from "./outputs.ts";
import { type RunPaths, runPaths } from "./paths.ts";
import { PodLog } from "./pod-log.ts";
import { isPodRun, podExit, podExitOf } from "./pod-run.ts";
import { nodeOf } from "./ranks.ts";
import { readRun, type RunRecord } from "./record.ts";
import { idle } from "./status-patch.ts";
import { takeToItsEnd, troubleOf } from "./supervision.ts";
import { reportTrouble, stopBySignals, takeRunLock } from "./supervisor.ts";
import { pythonTrainer, type TrainerCommand } from "./trainer.ts";
import { type Timing, timingOf } from "./timing.ts";
import { workBeside } from "./work-beside.ts";

/** Of the seconds between SIGTERM and SIGKILL that a Pod has, those that are left when a trainer that does not end is killed. */
const secondsForRecords = 10;

/** `node agent.mjs work --data-directory D --run R [--grace S]`: a trainer Pod's own process. S: its terminationGracePeriodSeconds. */
export async function work(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { "data-directory": { type: "string" }, run: { type: "string" }, grace: { type: "string" } },
  });
  const { "data-directory": dataDirectory, run, grace } = values;
  if (dataDirectory === undefined || run === undefined) {
    process.stderr.write("Expected: work --data-directory DIRECTORY --run RUN [--grace SECONDS]\n");
    process.exitCode = 2;
    return;
  }
  const timing = timingOf(process.env);
  const graceful = grace === undefined ? timing : { ...timing, stopGrace: stopGraceOf(Number(grace)) };
  process.exitCode = await workOn(layoutOf(dataDirectory), run, pythonTrainer, graceful);
}

/** Milliseconds for the trainer, of a Pod's seconds. */
export function stopGraceOf(seconds: number): number {
  return Math.max(1, seconds - secondsForRecords) * 1000;
}

/**
 * Takes a declared run to its end in this process, for as long as its Pod lives; returns the Pod's exit code (see podExit). A second Pod
 * waits until the first one has ended, then goes on or finds the run complete. SIGTERM: checkpoint, `stopped`, 143.
 */
export async function workOn(layout: Layout, run: string, trainer: TrainerCommand, timing: Timing): Promise<number> {
  const log = new PodLog();
  const stop = stopBySignals();
  const paths = runPaths(layout, run);
  try {
    const { spec } = requirePodRun(await readRun(paths), layout, run);
    const node = nodeOf(spec, process.env);
    if (node !== undefined && node.rank > 0)
      return await workBeside({ layout, paths, spec, trainer, timing, stop, log, node });
    const lock = (await takeRunLock(paths)) ?? (await waitForOther(paths, log, stop));
    if (lock === undefined) return podExit.ended;
    try {
      const status = await underLock({ layout, paths, trainer, timing, stop, log });
      return podExitOf(status);
    } finally {
      lock.release();
    }
  } catch (thrown) {
    const fault = await troubleOf(thrown, paths.directory);
    if (fault.code === "unexpected") throw thrown;
    log.say(fault.sentence);
    return podExit.failed;
  }
}

/** The lock, once the Pod that holds it has ended; undefined if this Pod is ended before. */
function waitForOther({ lock }: RunPaths, log: PodLog, signal: AbortSignal) {
  log.say("Another Pod works on this run: waits until it has ended.");
  return waitForLock(lock, { signal, pollMs: 500 }).catch(() => undefined);
}

interface PodWork {
  readonly layout: Layout;
  readonly paths: RunPaths;
  readonly trainer: TrainerCommand;
  readonly timing: Timing;
  readonly stop: AbortSignal;
  readonly log: PodLog;
}

async function underLock({ layout, paths, trainer, timing, stop, log }: PodWork): Promise<RunStatus> {
  const { spec, status, manifest } = requirePodRun(await readRun(paths), layout, paths.directory);
  const damage = manifest === undefined ? undefined : await damageOf(paths, manifest);
  if (manifest !== undefined && damage === undefined) {
    const complete = completeSince(status, manifest);
    log.say(runProgress(complete).message);
    return complete;
  }
  // The lock is ours: whoever wrote before is gone, or lost it with its node and finds by the token that it did.
  const fence = new Fence(paths, await issueToken(paths), podExit.failed);
  const journal = new Journal(paths, status, reportTrouble, fence.guard);
  journal.follow(log.take);
  // No process id: it would be another process' in every other Pod.
  await writeAtomically(paths.supervisorPid, "pod\n", 0o600, fence.guard);
  const beating = fence.beat(timing.beat);
  try {
    if (damage !== undefined) await discardResult(paths, journal, damage);
    await journal.event("attached", `Pod ${hostname()} takes it up`);
    await journal.enter("queued", "its Pod has started", { ...idle, endedAt: undefined, fault: undefined });
    const node = nodeOf(spec, process.env);
    const pod = { oneAttempt: node !== undefined, previous: status.fault, ...(node === undefined ? {} : { node }) };
    await takeToItsEnd({ layout, paths, spec, journal, trainer, timing, fence, stop, pod });
    return journal.status;
  } finally {
    clearInterval(beating);
  }
}

function requirePodRun(record: RunRecord | undefined, layout: Layout, run: string): RunRecord {
  if (record !== undefined && isPodRun(record.spec)) return record;
  const message =
    record === undefined
      ? `No run ${run} was declared in ${layout.root}.`
      : `Run ${run} was declared for a supervisor of its host, not for a Pod.`;
  throw new Fault({ code: "run-unknown", message, next: "Run `npx tuneup up`.", blame: "infrastructure" });
}
