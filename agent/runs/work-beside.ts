import { setTimeout as delay } from "node:timers/promises";
import type { Layout } from "../../recipe/layout.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { isLocked } from "../lock.ts";
import type { RunPaths } from "./paths.ts";
import type { PodLog } from "./pod-log.ts";
import { podExit, podExitOf } from "./pod-run.ts";
import { readRun } from "./record.ts";
import { type NodePlace, startTrainer, type TrainerCommand } from "./trainer.ts";
import type { Timing } from "./timing.ts";

/** What a node beside the first one needs. */
export interface BesidePlan {
  readonly layout: Layout;
  readonly paths: RunPaths;
  readonly spec: RunSpec;
  readonly trainer: TrainerCommand;
  readonly timing: Timing;
  readonly stop: AbortSignal;
  readonly log: PodLog;
  readonly node: NodePlace;
}

/** When this node's processes have failed, the first node says why; it may be gone itself. */
const patienceAfterFailure = 30_000;

/**
 * Runs the processes of a node that is not the first, and returns its Pod's exit code, which is the first one's. Only that one supervises:
 * it holds the lock, writes the records and says which checkpoint is gone on from.
 */
export async function workBeside({ layout, paths, spec, stop, log, node, ...plan }: BesidePlan): Promise<number> {
  log.say(`Node ${node.rank}: trains with the first one at ${node.address}.`);
  const { save, stopGrace } = plan.timing;
  const times = { saveSeconds: save / 1000, stopSeconds: stopGrace / 1000 };
  const launch = { layout, paths, spec, node, attempt: 0, resume: undefined, ...times };
  const trainer = await startTrainer(plan.trainer, launch, () => undefined);
  let killer: NodeJS.Timeout | undefined;
  const ask = (): void => {
    trainer.stop();
    killer = setTimeout(() => trainer.kill(), stopGrace);
  };
  if (stop.aborted) ask();
  else stop.addEventListener("abort", ask, { once: true });
  const { code, signal, notStarted } = await trainer.ended;
  clearTimeout(killer);
  log.say(`Its processes ended with ${notStarted ?? signal ?? code ?? "nothing"}.`);
  if (stop.aborted) return podExit.ended;
  return firstNodesCode(paths, code === 0 ? Infinity : patienceAfterFailure);
}

/** The exit code of the first node, once it has written its last word. */
async function firstNodesCode(paths: RunPaths, patience: number): Promise<number> {
  const deadline = performance.now() + patience;
  while (isLocked(paths.lock) && performance.now() < deadline) await delay(200);
  const record = await readRun(paths);
  return record === undefined ? podExit.failed : podExitOf(record.status);
}
