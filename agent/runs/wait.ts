import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import type { RunManifest, RunStatus } from "../../recipe/lifecycle.ts";
import { runProgress } from "../../recipe/run-progress.ts";
import type { Context } from "../context.ts";
import { reviveRun, type StartSupervisor } from "./declare.ts";
import { runPaths } from "./paths.ts";
import { HeartbeatWatch } from "./heartbeat.ts";
import { isPodRun } from "./pod-run.ts";
import { observeRun } from "./record.ts";
import { takeOver } from "./takeover.ts";
import type { Timing } from "./timing.ts";

const pollInterval = 400;

/** A supervisor that dies so often dies of itself. */
const mostRevivals = 5;

/**
 * Follows a run with progress until it is complete. A dead supervisor is started again, and one that gives no sign of life is taken
 * over. A run in a Pod is only followed: the cluster starts its Pods, and `stopped`, `failed` and `interrupted` are no end while it may
 * start another. Aborting ends the waiting, never the run.
 * Throws the run's Fault if it failed, `run-stopped` if somebody stopped it, `run-unknown` if it was never declared.
 */
export async function waitForRun(
  layout: Layout,
  run: string,
  start: StartSupervisor,
  context: Context,
  timing: Timing,
): Promise<{ status: RunStatus; manifest: RunManifest }> {
  const paths = runPaths(layout, run);
  const watch = new HeartbeatWatch(paths, timing);
  let shown = "";
  for (let revivals = 0; ;) {
    context.signal.throwIfAborted();
    const record = await observeRun(paths);
    if (record === undefined) {
      throw new Fault({ code: "run-unknown", message: `No run ${run} was declared in ${layout.root}.` });
    }
    const { spec, status, manifest } = record;
    const isPods = isPodRun(spec);
    if (status.state === "complete" && manifest !== undefined) return { status, manifest };
    if ((status.state === "failed" || status.state === "stopped") && status.nextPod !== true) throw faultOf(status);
    if (status.state === "interrupted" && !isPods) {
      if (++revivals > mostRevivals) throw hopeless(run, paths.supervisorLog);
      context.log("warning", `Run ${run} had no supervisor; a new one goes on from its last checkpoint.`);
      await reviveRun(layout, run, start, context.signal);
    }
    const sign = isPods ? undefined : await watch.look();
    if (sign !== undefined && (await takeOver(layout, run, sign, start, context.signal))) {
      if (++revivals > mostRevivals) throw hopeless(run, paths.supervisorLog);
      context.log(
        "warning",
        `The supervisor of run ${run} gave no sign of life; a new one goes on from its last checkpoint.`,
      );
    }
    const progress = runProgress(status);
    if (progress.message !== shown) context.progress(progress);
    shown = progress.message;
    await delay(pollInterval, undefined, { signal: context.signal });
  }
}

function faultOf({ run, state, fault, detail }: RunStatus): Fault {
  if (state === "failed")
    return new Fault(fault === undefined ? { code: "run-failed", message: detail ?? "" } : plain(fault));
  return new Fault({
    code: "run-stopped",
    message: `Run ${run} was stopped.`,
    next: "`npx tuneup up` goes on from its last checkpoint.",
  });
}

function plain({ code, property, message, next, blame }: NonNullable<RunStatus["fault"]>) {
  return {
    code,
    message,
    ...(property === undefined ? {} : { property }),
    ...(next === undefined ? {} : { next }),
    ...(blame === undefined ? {} : { blame }),
  };
}

function hopeless(run: string, log: string): Fault {
  return new Fault({
    code: "supervisor-dies",
    message: `The supervisor of run ${run} died ${mostRevivals} times.`,
    next: `Its last words are in ${log}.`,
    blame: "bug",
  });
}
