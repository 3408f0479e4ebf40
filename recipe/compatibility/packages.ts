import type { TrainArguments } from "../arguments.ts";
import type { FaultFacts } from "../fault.ts";
import { quantizationBits } from "../variants.ts";
import type { CompatibilityContext } from "./rule.ts";
import { Settings } from "./settings.ts";

/** An optional package that arguments need. */
export interface NeededPackage {
  /** Its name on the package index. */
  readonly package: string;
  /** The argument that needs it. */
  readonly property: string;
  /** Who asks: LLaMA-Factory's parser, or the code that loads the model and makes the optimizer, minutes later. */
  readonly asked: "parser" | "later";
}

const byFlag: readonly (readonly [string, readonly string[]])[] = [
  ["use_kt", ["kt-kernel", "transformers-kt", "accelerate-kt"]],
  ["use_unsloth", ["unsloth"]],
  ["enable_liger_kernel", ["liger-kernel"]],
  ["mixture_of_depths", ["mixture-of-depth"]],
  ["use_galore", ["galore_torch"]],
  ["use_apollo", ["apollo_torch"]],
  ["use_badam", ["badam"]],
  ["use_adam_mini", ["adam-mini"]],
  ["use_swanlab", ["swanlab"]],
  ["plot_loss", ["matplotlib"]],
  ["deepspeed", ["deepspeed"]],
  ["predict_with_generate", ["jieba", "nltk", "rouge_chinese"]],
];

const trackers = ["wandb", "tensorboard", "swanlab", "mlflow", "trackio"];

/** Which optional packages these arguments need: LLaMA-Factory 0.9.5, hparams/parser.py and model/model_utils. */
export function packagesNeeded(given: TrainArguments): NeededPackage[] {
  const s = new Settings(given);
  const parser = byFlag.flatMap(([property, packages]) =>
    s.on(property) ? packages.map((name) => ({ package: name, property, asked: "parser" as const })) : [],
  );
  const later: (readonly [string, string])[] = [];
  const quantized = s.has("quantization_bit");
  if (s.is("quantization_method", "bnb")) {
    for (const argument of quantizationBits) if (s.has(argument)) later.push([argument, "bitsandbytes"]);
  }
  if (quantized && s.is("quantization_method", "hqq", "eetq")) {
    later.push(["quantization_method", s.text("quantization_method")]);
  }
  const optimizer = s.text("optim");
  if (/8bit|paged|lion|ademamix|rmsprop_bnb/.test(optimizer) && !optimizer.startsWith("adamw_torch")) {
    later.push(["optim", "bitsandbytes"]);
  }
  if (optimizer.startsWith("galore_")) later.push(["optim", "galore_torch"]);
  if (optimizer.startsWith("apollo_")) later.push(["optim", "apollo_torch"]);
  if (s.is("flash_attn", "fa2")) later.push(["flash_attn", "flash-attn"]);
  const reports = [s.value("report_to")].flat();
  for (const tracker of trackers) if (reports.includes(tracker)) later.push(["report_to", tracker]);
  return [...parser, ...later.map(([property, name]) => ({ package: name, property, asked: "later" as const }))];
}

/** What is needed and missing. */
export function missingPackages(given: TrainArguments, { missing = [] }: CompatibilityContext): FaultFacts[] {
  return packagesNeeded(given)
    .filter((needed) => missing.includes(needed.package))
    .map((needed) => ({
      code: "package-missing",
      property: `train.${needed.property}`,
      message: `needs the package ${needed.package}, which the environment does not have.`,
      next: "Remove it, or take an environment that has the package.",
    }));
}
