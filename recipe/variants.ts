import type { ArgumentValue, TrainArguments } from "./arguments.ts";

/** What a variant adds to the Python environment. */
export interface VariantFacts {
  /** Distributions that its lock adds, the one that was asked for first. */
  readonly packages: readonly string[];
  /** What the self-test imports. */
  readonly module: string;
  /** Bytes on disk beyond the base environment; measured on Linux x86-64 with Python 3.11. */
  readonly bytes: number;
  /** What it does without an NVIDIA GPU: trains as well (tried), or nothing. */
  readonly withoutGpu: "works" | "nothing";
  /** For people: what it is for. */
  readonly what: string;
}

const MB = 1e6;

/**
 * What an environment may have on top of the base lock, each in agent/environment/variants/<name>.lock. Metrics (jieba,
 * nltk, rouge-chinese), ModelScope and matplotlib are in the base.
 */
export const variantFacts = {
  "adam-mini": {
    packages: ["adam-mini"],
    module: "adam_mini",
    bytes: 0.07 * MB,
    withoutGpu: "works",
    what: "the optimizer Adam-mini",
  },
  apollo: {
    packages: ["apollo-torch", "bitsandbytes"],
    module: "apollo_torch",
    bytes: 129.4 * MB,
    withoutGpu: "works",
    what: "the optimizer APOLLO",
  },
  badam: { packages: ["badam"], module: "badam", bytes: 0.12 * MB, withoutGpu: "works", what: "the optimizer BAdam" },
  bitsandbytes: {
    packages: ["bitsandbytes"],
    module: "bitsandbytes",
    bytes: 129.4 * MB,
    withoutGpu: "works",
    what: "4 and 8 bit quantization (QLoRA) and 8 bit optimizers",
  },
  deepspeed: {
    packages: ["deepspeed"],
    module: "deepspeed",
    bytes: 11.9 * MB,
    withoutGpu: "nothing",
    what: "DeepSpeed's ZeRO over several GPUs",
  },
  galore: {
    packages: ["galore-torch", "bitsandbytes"],
    module: "galore_torch",
    bytes: 129.4 * MB,
    withoutGpu: "works",
    what: "the optimizer GaLore",
  },
  liger: {
    packages: ["liger-kernel"],
    module: "liger_kernel.transformers",
    bytes: 4.2 * MB,
    withoutGpu: "nothing",
    what: "Liger's fused kernels, which save memory",
  },
  swanlab: {
    packages: ["swanlab"],
    module: "swanlab",
    bytes: 17.7 * MB,
    withoutGpu: "works",
    what: "the tracker SwanLab",
  },
  tensorboard: {
    packages: ["tensorboard"],
    module: "torch.utils.tensorboard",
    bytes: 50.4 * MB,
    withoutGpu: "works",
    what: "the tracker TensorBoard",
  },
  wandb: {
    packages: ["wandb"],
    module: "wandb",
    bytes: 62.8 * MB,
    withoutGpu: "works",
    what: "the tracker Weights & Biases",
  },
} as const satisfies Readonly<Record<string, VariantFacts>>;

/** Name of a variant of the environment. */
export type Variant = keyof typeof variantFacts;

/** All variants, in the order of the alphabet. */
export const variantNames = Object.keys(variantFacts) as [Variant, ...Variant[]];

/** What asks for a variant: the argument, and its value. */
export interface VariantReason {
  readonly variant: Variant;
  /** Config key, e.g. `train.quantization_bit`. */
  readonly property: string;
  readonly value: ArgumentValue;
}

/** Is an argument on? LLaMA-Factory's parser takes false, "" and null for off. */
function isOn(value: ArgumentValue | undefined): boolean {
  return value !== undefined && value !== null && value !== false && value !== "";
}

const switches: readonly (readonly [argument: string, variant: Variant])[] = [
  ["enable_liger_kernel", "liger"],
  ["use_galore", "galore"],
  ["use_apollo", "apollo"],
  ["use_badam", "badam"],
  ["use_adam_mini", "adam-mini"],
  ["use_swanlab", "swanlab"],
  ["deepspeed", "deepspeed"],
];

/** What quantizes a model on the way in: the one that trains, and the two that judge it. */
export const quantizationBits = [
  "quantization_bit",
  "ref_model_quantization_bit",
  "reward_model_quantization_bit",
] as const;

/** Which optimizers of transformers' come from a package of ours. */
const optimizers: readonly (readonly [RegExp, Variant])[] = [
  [/^galore_/, "galore"],
  [/^apollo_/, "apollo"],
  [
    /^(adamw_8bit|adamw_bnb_8bit|ademamix|ademamix_8bit|lion_8bit|lion_32bit|paged_\w+|rmsprop_bnb\w*)$/,
    "bitsandbytes",
  ],
];

/** Values of `report_to`, one or several. */
export function trackersOf(train: TrainArguments): string[] {
  const value = train["report_to"];
  const words = Array.isArray(value) ? value : [value];
  return words.filter((word): word is string => typeof word === "string" && word !== "");
}

/** Every variant that the arguments ask for, with what asks. The values are as LLaMA-Factory takes them. */
export function variantReasons(train: TrainArguments): VariantReason[] {
  const reasons: VariantReason[] = [];
  const add = (variant: Variant, argument: string): void => {
    reasons.push({ variant, property: `train.${argument}`, value: train[argument] ?? null });
  };
  for (const [argument, variant] of switches) if (isOn(train[argument])) add(variant, argument);
  const method = train["quantization_method"] ?? "bnb";
  for (const argument of quantizationBits.filter((name) => isOn(train[name]))) {
    if (method === "bnb") add("bitsandbytes", argument);
  }
  const optimizer = typeof train["optim"] === "string" ? train["optim"] : "";
  for (const [pattern, variant] of optimizers) if (pattern.test(optimizer)) add(variant, "optim");
  for (const tracker of trackersOf(train)) if (isTracker(tracker)) add(tracker, "report_to");
  return reasons;
}

function isTracker(name: string): name is "swanlab" | "tensorboard" | "wandb" {
  return name === "swanlab" || name === "tensorboard" || name === "wandb";
}

/**
 * The variants that an experiment's environment needs, sorted: the order in which they are written changes nothing.
 * Only arguments of training decide, so that another serving engine never makes another run.
 */
export function variantsFor(train: TrainArguments): Variant[] {
  return [...new Set(variantReasons(train).map(({ variant }) => variant))].toSorted();
}
