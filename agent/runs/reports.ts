import { z } from "zod";

const told = { at: z.string(), attempt: z.int() };
const step = z.int().min(0);
/** Milliseconds of the trainer's own clock, which no correction of the time of day moves. Trainers of older releases don't tell it. */
const clock = z.number().optional();

/**
 * One line of reports.jsonl. The trainer (agent/python/train_reports.py) writes all but `repair`, which run-declare writes when
 * the artifacts of a finished run are damaged: what was reported before it no longer proves that the run is done.
 */
export const trainerReport = z.discriminatedUnion("kind", [
  z.object({ ...told, kind: z.literal("start"), pid: z.int() }),
  z.object({ ...told, kind: z.literal("phase"), phase: z.string() }),
  z.object({ ...told, kind: z.literal("begin"), step, total: step, tokens: z.number(), clock }),
  z.object({ ...told, kind: z.literal("step"), step, total: step, tokens: z.number(), clock }),
  z.object({
    ...told,
    kind: z.literal("log"),
    step,
    epoch: z.number().optional(),
    loss: z.number().optional(),
    evalLoss: z.number().optional(),
    learningRate: z.number().optional(),
    gradNorm: z.number().optional(),
    tokens: z.number().optional(),
  }),
  /** It works on something that is no step, such as an evaluation. */
  z.object({ ...told, kind: z.literal("alive") }),
  /** `resumable`: does it hold the optimizer's state? Trainers of older releases don't tell it. */
  z.object({
    ...told,
    kind: z.literal("checkpoint"),
    step,
    bytes: z.number(),
    path: z.string(),
    resumable: z.boolean().default(true),
  }),
  z.object({ ...told, kind: z.literal("stopped"), step }),
  z.object({ ...told, kind: z.literal("fault"), type: z.string(), message: z.string(), phase: z.string(), step }),
  z.object({ ...told, kind: z.literal("done"), step, total: step }),
  z.object({ ...told, kind: z.literal("repair") }),
]);
export type TrainerReport = z.infer<typeof trainerReport>;
export type ReportOf<K extends TrainerReport["kind"]> = Extract<TrainerReport, { kind: K }>;

/** When a report was made, in milliseconds: by the trainer's own clock where it told it. Comparable within one attempt alone. */
export function timeOf(report: ReportOf<"begin"> | ReportOf<"step">): number {
  return report.clock ?? Date.parse(report.at);
}

/** The report that proves the run done, unless the trainer was started again or the artifacts were found damaged since. */
export function doneReport(reports: readonly TrainerReport[]): ReportOf<"done"> | undefined {
  const last = reports.findLast(({ kind }) => kind === "done" || kind === "start" || kind === "repair");
  return last?.kind === "done" ? last : undefined;
}

/** Seconds spent on steps, of all attempts together. */
export function trainSeconds(reports: readonly TrainerReport[]): number {
  let milliseconds = 0;
  let begun: number | undefined;
  let latest: number | undefined;
  const close = (): void => {
    if (begun !== undefined && latest !== undefined) milliseconds += latest - begun;
    begun = latest = undefined;
  };
  for (const report of reports) {
    if (report.kind === "begin") {
      close();
      begun = timeOf(report);
    }
    if (report.kind === "step") latest = timeOf(report);
  }
  close();
  return Math.round(milliseconds) / 1000;
}
