import { setTimeout as delay } from "node:timers/promises";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import type { Context } from "../context.ts";
import { dropAccess } from "../artifacts/access.ts";
import { isLocked, tryLock } from "../lock.ts";
import { endFenced } from "./fence.ts";
import { HeartbeatWatch } from "./heartbeat.ts";
import { Journal } from "./journal.ts";
import type { RunPaths } from "./paths.ts";
import { isPodRun } from "./pod-run.ts";
import { isTerminal, readRun } from "./record.ts";
import { idle } from "./status-patch.ts";
import { signalRecorded, signalTrainer } from "./signals.ts";
import type { Timing } from "./timing.ts";

/** A supervisor may need this long beyond its trainer's grace, to write what became of it. */
const supervisorExtra = 15_000;

/**
 * Stops a run and returns its status when nobody works on it any more; null if there is none. A complete or failed run stays so.
 * The trainer saves a checkpoint first; what does not end within the grace is killed. A supervisor that gives no sign of life is
 * killed before: then the kernel asks its trainer to save. Who runs in a Pod can't be reached: the cluster is asked to end it, and here it is
 * only waited for.
 */
export async function stopRun(paths: RunPaths, timing: Timing, context: Context): Promise<RunStatus | null> {
  const record = await readRun(paths);
  if (record === undefined) return null;
  const isPods = isPodRun(record.spec);
  const asked = performance.now();
  const watch = new HeartbeatWatch(paths, timing);
  let [told, alone] = [-Infinity, asked];
  context.progress({ message: `stopping: ${isPods ? "its Pod" : "the trainer"} saves a checkpoint first` });
  for (;;) {
    context.signal.throwIfAborted();
    const supervised = isLocked(paths.lock);
    if (!supervised && !isLocked(paths.trainerLock)) {
      const status = await settle(paths);
      if (status !== undefined) {
        // A supervisor that was killed while it published kept it.
        await dropAccess(paths);
        await endFenced(paths, context.signal);
        return status;
      }
    }
    const now = performance.now();
    // The trainer has its grace from when nobody else looks after it.
    if (supervised) alone = now;
    const isHung = (await watch.look()) !== undefined || now - asked > timing.stopGrace + supervisorExtra;
    // Again each second: a process that was just started may not have listened yet.
    if (!isPods && now - told > 1000) {
      told = now;
      if (supervised) await signalRecorded(paths.supervisorPid, isHung ? "SIGKILL" : "SIGTERM");
      else await signalTrainer(paths, now - alone > timing.stopGrace ? "SIGKILL" : "SIGTERM");
    }
    await delay(50);
  }
}

/** Writes `stopped` for a run that nobody could write it for. Undefined if a supervisor came in between. */
async function settle(paths: RunPaths): Promise<RunStatus | undefined> {
  const lock = tryLock(paths.lock);
  if (lock === undefined) return undefined;
  try {
    const record = await readRun(paths);
    if (record === undefined || (isTerminal(record.status.state) && record.status.nextPod !== true))
      return record?.status;
    const journal = new Journal(paths, record.status, (thrown) => {
      throw thrown;
    });
    const { step, totalSteps } = record.status;
    const where = totalSteps === 0 ? "" : ` after step ${step} of ${totalSteps}`;
    await journal.enter("stopped", `stopped${where}`, { ...idle, endedAt: new Date().toISOString() });
    return journal.status;
  } finally {
    lock.release();
  }
}
