import type { CheckFinding } from "../recipe/check-report.ts";
import { memoryOf, tightShare } from "../recipe/estimates/memory.ts";
import type { Memory } from "../recipe/estimates/memory-terms.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import { parametersOf } from "../recipe/estimates/parameters.ts";
import { proposalsFor } from "../recipe/estimates/proposals.ts";
import type { Training } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { gigabytes } from "./figures.ts";
import type { Hardware } from "./hardware.ts";

const basis = "formula fitted to peaks measured on one H200: -4 to +10 % there (docs/estimates.md)";

/** Does the training fit into one card, or into the machine's memory where there is none? */
export function memoryFindings(
  experiment: Experiment,
  question: { readonly shape: ModelShape; readonly training: Training; readonly hardware: Hardware },
): CheckFinding[] {
  const { shape, training, hardware } = question;
  const memory = memoryOf(shape, training);
  const limit = hardware.memoryBytes;
  const needs = `training needs ${gigabytes(memory.total)} (${partsOf(memory)})`;
  const base = { area: "memory", figure: Math.round(memory.total), unit: "bytes", basis } as const;
  const model = `${billions(parametersOf(shape).total)} parameters, ${billions(training.trained)} trained${sharedBy(training)}`;
  if (limit === undefined) return [{ ...base, level: "ok", code: "memory-unlimited", message: `${model}: ${needs}.` }];
  const limited = { ...base, limit: Math.round(limit) };
  const has = `${hardware.name} has ${gigabytes(limit)} (${hardware.basis})`;
  // On a CPU rows are padded to the longest of the batch and no further: only what is always there is sure.
  const sure = hardware.device === "cuda" ? memory.total : memory.weights + memory.optimizer + memory.gradients;
  const property = "train.per_device_train_batch_size";
  if (sure > limit) {
    const next = proposalText(experiment, question, limit);
    return [{ ...limited, level: "error", code: "memory", property, message: `${needs}, and ${has}.`, next }];
  }
  if (memory.total > limit) {
    const next = proposalText(experiment, question, limit);
    const message =
      `training may need up to ${gigabytes(memory.total)} (${partsOf(memory)}), if rows are as long as cutoff_len; ` +
      `${gigabytes(sure)} of it are always there, and ${has}.`;
    return [{ ...limited, level: "warning", code: "memory-tight", property, message, next }];
  }
  if (memory.total > tightShare * limit) {
    const next = proposalText(experiment, question, tightShare * limit);
    const message = `${needs}, which is close to what there is: ${has}.`;
    return [{ ...limited, level: "warning", code: "memory-tight", property, message, next }];
  }
  return [{ ...limited, level: "ok", code: "memory-fits", message: `${model}: ${needs}; ${has}.` }];
}

/** How several cards share it. */
function sharedBy({ zero, gpus }: Training): string {
  return zero === 0 || gpus === 1 ? "" : `, ZeRO-${zero} over ${gpus} cards`;
}

function partsOf({ weights, gradients, optimizer, activations, logits, fixed }: Memory): string {
  const parts: readonly (readonly [string, number])[] = [
    ["weights", weights],
    ["gradients", gradients],
    ["optimizer", optimizer],
    ["activations", activations],
    ["logits", logits],
    ["libraries", fixed],
  ];
  return parts.flatMap(([name, bytes]) => (bytes < 5e7 ? [] : [`${name} ${(bytes / 1e9).toFixed(1)}`])).join(", ");
}

function proposalText(
  { train, model }: Experiment,
  {
    shape,
    training,
    hardware,
  }: { readonly shape: ModelShape; readonly training: Training; readonly hardware: Hardware },
  limit: number,
): string {
  const found = proposalsFor({ modelId: model.id, shape, train, gpus: training.gpus, device: hardware.device }, limit);
  if (found.length === 0) return "Nothing here makes it fit: take a larger card, or more of them with ZeRO-3.";
  const texts = found.map(({ changes, bytes }) => `\`${changes.join("`, `")}\` (${gigabytes(bytes)})`);
  return `What fits, cheapest first: ${texts.join("; or ")}.`;
}

function billions(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} billion` : `${(count / 1e6).toFixed(1)} million`;
}
