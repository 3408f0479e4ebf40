import { runMetric } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { readLines } from "../files.ts";
import type { Fence } from "./fence.ts";
import type { Journal } from "./journal.ts";
import { problemOf, writeManifest } from "./outputs.ts";
import type { RunPaths } from "./paths.ts";
import { doneReport, trainerReport, trainSeconds } from "./reports.ts";

/** What the end of a run is made of. */
export interface Ending {
  readonly paths: RunPaths;
  readonly spec: RunSpec;
  readonly journal: Journal;
  readonly fence: Fence;
}

/**
 * Writes the manifest if the trainer reported that all steps are done and the result is whole. `done`: the steps and the last
 * loss; `problem`: what is wrong with the result; neither: it is not done.
 */
export async function writeResult({ paths, spec, journal, fence }: Ending): Promise<{
  readonly done?: { readonly step: number; readonly totalSteps: number; readonly loss?: number };
  readonly problem?: string;
}> {
  const reports = await readLines(paths.reports, trainerReport);
  const done = doneReport(reports);
  if (done === undefined || (done.step < done.total && !("early_stopping_steps" in spec.arguments))) return {};
  await journal.enter("saving", "checking the result");
  const problem = await problemOf(paths.output, spec.artifact);
  if (problem !== undefined) {
    await journal.event("note", `the result is damaged: ${problem}`);
    return { problem };
  }
  const metrics = await readLines(paths.metrics, runMetric);
  const finalLoss = metrics.findLast(({ loss }) => loss !== undefined)?.loss;
  const totalTokens = metrics.findLast((metric) => metric.totalTokens !== undefined)?.totalTokens;
  const facts = {
    schemaVersion: 1,
    run: spec.run,
    completedAt: new Date().toISOString(),
    attempts: journal.status.attempt,
    step: done.step,
    totalSteps: done.total,
    trainSeconds: trainSeconds(reports),
    ...(finalLoss === undefined ? {} : { finalLoss }),
    ...(totalTokens === undefined ? {} : { totalTokens }),
    artifact: spec.artifact,
  } as const;
  await writeManifest(paths, facts, fence.guard);
  const loss = finalLoss === undefined ? {} : { loss: finalLoss };
  return { done: { step: done.step, totalSteps: done.total, ...loss } };
}
