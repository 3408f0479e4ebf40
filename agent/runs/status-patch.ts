import type { RunStatus } from "../../recipe/lifecycle.ts";

/** New values of a status; `undefined` takes a field away. */
export type StatusPatch = { readonly [K in keyof RunStatus]?: RunStatus[K] | undefined };

/** The status with the patch on top. */
export function patched(status: RunStatus, patch: StatusPatch): RunStatus {
  const merged = Object.entries({ ...status, ...patch }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(merged) as RunStatus;
}

/** What is true only while somebody works on the run. */
export const idle: StatusPatch = {
  supervisorPid: undefined,
  trainerPid: undefined,
  secondsLeft: undefined,
  tokensPerSecond: undefined,
  nextPod: undefined,
};
