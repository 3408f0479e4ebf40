import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import { writeAtomically } from "../files.ts";
import { type HeldLock, waitForLock } from "../lock.ts";
import { owes } from "./declare.ts";
import { Fence } from "./fence.ts";
import { Journal } from "./journal.ts";
import { type RunPaths, runPaths } from "./paths.ts";
import { isTerminal, readRun } from "./record.ts";
import { ownRecord } from "./signals.ts";
import { takeToItsEnd } from "./supervision.ts";
import { pythonTrainer, type TrainerCommand } from "./trainer.ts";
import { type Timing, timingOf } from "./timing.ts";

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

/** The run's lock, if no other supervisor holds it. */
export function takeRunLock({ lock }: RunPaths): Promise<HeldLock | undefined> {
  return waitForLock(lock, { signal: AbortSignal.timeout(lockPatience), pollMs: 50 }).catch(() => undefined);
}

/** Aborted, with the signal's name as the reason, when this process is asked to end. From the call on it outlives its terminal and a full disk. */
export function stopBySignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort(signal));
  process.on("SIGHUP", () => undefined);
  // Our own log lies on the same disk: that it is full must not end us.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  return stop.signal;
}

/** Hears of what could not be recorded. */
export function reportTrouble(thrown: unknown): void {
  console.error("The run's record:", thrown);
}

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
  const lock = await takeRunLock(paths);
  if (lock === undefined) return;
  const fence = new Fence(paths, token);
  const stop = stopBySignals();
  let beating: NodeJS.Timeout | undefined;
  try {
    const record = await readRun(paths);
    const isDone = record?.status.state === "complete" && owes(record);
    if (record === undefined || (isTerminal(record.status.state) && !isDone)) return;
    // Another one was started since: this one was too slow to come.
    fence.guard();
    await writeAtomically(paths.supervisorPid, ownRecord(), 0o600, fence.guard);
    beating = fence.beat(timing.beat);
    const journal = new Journal(paths, record.status, reportTrouble, fence.guard);
    journal.update({ supervisorPid: process.pid });
    await journal.flush();
    await takeToItsEnd({ layout, paths, spec: record.spec, journal, trainer, timing, fence, stop });
  } finally {
    clearInterval(beating);
    lock.release();
  }
}
