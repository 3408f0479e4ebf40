import type { TrainArguments } from "../recipe/arguments.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import { diskOf } from "../recipe/estimates/disk.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import type { Training } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { variantsFor } from "../recipe/variants.ts";
import { gigabytes } from "./figures.ts";
import type { HostFacts } from "./hardware.ts";

const basis = "parameters by config.json, measured sizes of the environment (docs/estimates.md)";

/** Does all that the experiment puts into the data directory fit into the budget and on the disk? */
export function diskFindings(
  experiment: Experiment,
  question: {
    readonly shape: ModelShape;
    readonly training: Training;
    readonly steps: number | undefined;
    readonly tokens: number;
    readonly host: HostFacts | undefined;
  },
): CheckFinding[] {
  const { shape, training, steps, tokens, host } = question;
  const train: TrainArguments = experiment.train;
  const disk = diskOf(shape, training, { train, variants: variantsFor(train), steps, tokens });
  const limit = experiment.budget.diskGB * 1e9;
  const parts = [
    `weights ${gigabytes(disk.weights)}`,
    `environment ${gigabytes(disk.environment)}`,
    `checkpoints ${gigabytes(disk.checkpoints)}`,
    `result ${gigabytes(disk.artifact)}`,
  ].join(", ");
  const needs = `the data directory grows to ${gigabytes(disk.total)} (${parts})`;
  const base = { area: "disk", figure: Math.round(disk.total), limit, unit: "bytes", basis } as const;
  if (disk.total > limit) {
    const message = `is ${experiment.budget.diskGB} GB, and ${needs}.`;
    return [
      { ...base, level: "error", code: "disk-budget", property: "budget.diskGB", message, next: cheaper(training) },
    ];
  }
  const merged = disk.merged > 0 ? ` An export with the adapter merged would add ${gigabytes(disk.merged)}.` : "";
  const ok: CheckFinding = {
    ...base,
    level: "ok",
    message: `${needs}; the budget is ${experiment.budget.diskGB} GB.${merged}`,
  };
  const left = disk.total - (host?.environment == null ? 0 : disk.environment);
  if (host === undefined || left <= host.diskFreeBytes) return [ok];
  const free = gigabytes(host.diskFreeBytes);
  const message = `${needs}, and ${free} are free there; what lies there already is not counted off.`;
  const next = "Free some space, or set `tuneup:storage.dataDirectory` to a larger disk.";
  return [
    {
      ...base,
      limit: host.diskFreeBytes,
      level: "warning",
      code: "disk-free",
      property: "storage.dataDirectory",
      message,
      next,
    },
  ];
}

function cheaper({ method }: Training): string {
  const whole = method === "full" || method === "freeze";
  return whole
    ? "Set `train.save_only_model: true`, `train.save_total_limit: 1`, or train an adapter (`train.finetuning_type: lora`); or raise the budget."
    : "Take a smaller model, or raise the budget to what the disk has.";
}
