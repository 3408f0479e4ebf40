import type { RunStatus } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";

/**
 * Does a Pod of its own train this run (`agent.mjs work`)? Each Pod has process ids of its own: those of a trainer mean nothing to who
 * looks from elsewhere, so none are recorded and none are signalled. The cluster starts and ends the Pods.
 */
export function isPodRun(spec: RunSpec): boolean {
  return spec.supervisor === "pod";
}

/** Exit codes of `agent.mjs work`, by which the cluster decides whether it starts another Pod. */
export const podExit = {
  complete: 0,
  /** Infrastructure, or a bug: another Pod may do better. */
  failed: 1,
  /** The user's fault: another Pod would fail as well. */
  refused: 42,
  /** Stopped by hand (SIGINT, or `run-stop`). */
  stopped: 43,
  /** The Pod was ended (SIGTERM): its checkpoint is there. */
  ended: 143,
} as const;

/** The exit code for what became of a run. */
export function podExitOf({ state, nextPod }: RunStatus): number {
  if (state === "complete") return podExit.complete;
  if (state === "stopped") return nextPod === true ? podExit.ended : podExit.stopped;
  return state === "failed" && nextPod !== true ? podExit.refused : podExit.failed;
}
