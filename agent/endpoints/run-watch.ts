import { stat } from "node:fs/promises";
import type { RunLayout } from "../../recipe/layout.ts";
import { runManifest, type RunManifest, runStatus, type RunStatus } from "../../recipe/lifecycle.ts";
import { readRecord } from "../files.ts";
import { isAlive } from "../processes.ts";

/** Can the run's model be served, and if not, why. */
export type Outlook =
  | { readonly complete: true; readonly manifest: RunManifest }
  /** `ended`: nothing works on it any more; `message` is a sentence or two for people. */
  | { readonly complete: false; readonly message: string; readonly ended: boolean };

const terminal: readonly RunStatus["state"][] = ["failed", "stopped", "interrupted"];

/** Looks at a run's records: complete is a manifest whose files are all there. */
export async function lookAtRun(run: RunLayout): Promise<Outlook> {
  const manifest = await readRecord(run.manifest, runManifest);
  if (manifest !== undefined) {
    const damage = await firstDamage(run.output, manifest);
    if (damage === undefined) return { complete: true, manifest };
    const message = `The trained model is damaged: ${damage}. \`npx tuneup up\` repairs it.`;
    return { complete: false, message, ended: true };
  }
  const status = await readRunStatus(run);
  if (status === undefined) {
    return { complete: false, message: "The model is not trained yet: its run has not begun.", ended: false };
  }
  return { complete: false, message: sentenceOf(status), ended: isOver(status) };
}

/** Does nothing work on it any more, and nothing will unless it is declared again? */
export function isOver({ state, nextPod }: RunStatus): boolean {
  return terminal.includes(state) && nextPod !== true;
}

/** The run's record as it is now: one whose supervisor is dead is `interrupted`. Undefined if missing or torn. */
export async function readRunStatus(run: RunLayout): Promise<RunStatus | undefined> {
  const status = await readRecord(run.status, runStatus);
  if (status === undefined || status.state === "complete" || terminal.includes(status.state)) return status;
  // The lock is not tried here: a supervisor that starts at this moment would find it held.
  const dead = status.supervisorPid !== undefined && !isAlive(status.supervisorPid);
  return dead ? { ...status, state: "interrupted" } : status;
}

/** First file of the manifest that is missing or has another size. */
async function firstDamage(output: string, manifest: RunManifest): Promise<string | undefined> {
  for (const { path, bytes } of manifest.files) {
    try {
      const { size } = await stat(`${output}/${path}`);
      if (size !== bytes) return `${path} has ${size} bytes instead of ${bytes}`;
    } catch {
      return `${path} is missing`;
    }
  }
  return undefined;
}

function sentenceOf(status: RunStatus): string {
  const { state, step, totalSteps, secondsLeft, fault, detail } = status;
  const steps = totalSteps > 0 ? `step ${step} of ${totalSteps}` : `step ${step}`;
  const left = secondsLeft === undefined ? "" : `, ${minutes(secondsLeft)} left`;
  if (status.nextPod === true) return `The model is not trained yet: ${steps}; its run waits for its next Pod.`;
  switch (state) {
    case "queued":
      return `The model waits to be trained${detail === undefined ? "." : `: ${detail}`}`;
    case "training":
      return `The model is still training: ${steps}${left}.`;
    case "saving":
    case "complete":
      return "The model is trained and is being saved.";
    case "failed":
      return `Training failed at ${steps}: ${fault?.message ?? detail ?? "see `npx tuneup logs`"}`;
    case "stopped":
      return `Training was stopped at ${steps}; \`npx tuneup up\` goes on with it.`;
    case "interrupted":
      return `Training broke off at ${steps}: its supervisor is dead; \`npx tuneup up\` goes on with it.`;
  }
}

/** `m:ss`, or `h:mm:ss` from an hour on. */
function minutes(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${hours > 0 ? two(Math.floor((whole % 3600) / 60)) : Math.floor(whole / 60)}:${two(whole % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}
