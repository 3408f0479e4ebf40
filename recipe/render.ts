import type { TrainArguments } from "./arguments.ts";

/** Where the host keeps what a training needs. All paths are absolute, on the host. */
export interface TrainPaths {
  readonly weights: string;
  readonly datasets: string;
  readonly output: string;
  /** Folders of the adapters to go on from, commas between them. Default: a new one. */
  readonly adapter?: string;
}

/** What other parts of the experiment ask of the training. */
export interface TrainingExtras {
  /** `tuneup:serve.checkpoint`. Default: last. */
  readonly checkpoint?: "last" | "best";
}

/** The extras of an experiment. */
export function trainingExtras({ checkpoint }: Required<TrainingExtras>): TrainingExtras {
  return { checkpoint };
}

/**
 * Defaults of ours where LLaMA-Factory's would lose work or say nothing; every one can be set in `train`.
 * `save_total_limit`: without it checkpoints fill the disk (LLaMA-Factory#5155, #1428).
 */
const defaults: TrainArguments = {
  stage: "sft",
  finetuning_type: "lora",
  logging_steps: 10,
  plot_loss: true,
  report_to: "none",
  save_strategy: "steps",
  save_steps: 500,
  save_total_limit: 2,
};

/** GaLore and APOLLO know `adamw_torch` and not transformers' own default, adamw_torch_fused. */
function optimizerDefault(train: TrainArguments): TrainArguments {
  return train["use_galore"] === true || train["use_apollo"] === true ? { optim: "adamw_torch" } : {};
}

/** Saving follows evaluation, so that what was best is on the disk. */
function bestDefaults({
  eval_strategy: strategy,
  eval_steps: steps,
  logging_steps: logging,
}: TrainArguments): TrainArguments {
  return { save_strategy: strategy ?? "no", ...(strategy === "steps" ? { save_steps: steps ?? logging ?? 10 } : {}) };
}

const bestOwned: TrainArguments = {
  load_best_model_at_end: true,
  metric_for_best_model: "eval_loss",
  greater_is_better: false,
};

/** What LLaMA-Factory gets for training: defaults, the experiment's `train`, then what tuneup owns. */
export function renderTraining(
  train: TrainArguments,
  names: readonly string[],
  paths: TrainPaths,
  device: "cpu" | "cuda",
  { checkpoint = "last" }: TrainingExtras = {},
): TrainArguments {
  const best = checkpoint === "best";
  return {
    ...defaults,
    ...optimizerDefault(train),
    ...(best ? bestDefaults(train) : {}),
    // Pinned memory is for copies to a GPU; on a CPU it only warns.
    ...(device === "cpu" ? { dataloader_pin_memory: false, use_cpu: true } : {}),
    ...train,
    ...(best ? bestOwned : {}),
    model_name_or_path: paths.weights,
    ...(paths.adapter === undefined ? {} : { adapter_name_or_path: paths.adapter }),
    dataset: names.join(","),
    dataset_dir: paths.datasets,
    output_dir: paths.output,
    do_train: true,
    include_num_input_tokens_seen: true,
  };
}

/** Methods that leave an adapter; the others leave whole weights. */
export function artifactOf(train: TrainArguments): "adapter" | "weights" {
  const method = train["finetuning_type"] ?? defaults["finetuning_type"];
  return method === "lora" || method === "oft" ? "adapter" : "weights";
}

/** Arguments that must be the same in serving as in training (LLaMA-Factory#8720, #5232). */
const shared = [
  "finetuning_type",
  "default_system",
  "enable_thinking",
  "tool_format",
  "trust_remote_code",
  "quantization_method",
  "quantization_bit",
  "quantization_type",
  "double_quantization",
  "rope_scaling",
  "flash_attn",
  "resize_vocab",
  "add_tokens",
  "add_special_tokens",
  "use_fast_tokenizer",
] as const;

/** Arguments of the engine vLLM. They say nothing of the training. */
const engineArguments = ["vllm_maxlen", "vllm_gpu_util", "vllm_enforce_eager"] as const;

/** The part of `train` that decides the run: another setting of the engine never trains again. */
export function trainingPart(train: TrainArguments): TrainArguments {
  return Object.fromEntries(
    Object.entries(train).filter(([name]) => !(engineArguments as readonly string[]).includes(name)),
  );
}

/** The part of `train` that an engine gets as well. */
export function renderServing(train: TrainArguments): TrainArguments {
  return Object.fromEntries(
    [...shared, ...engineArguments].flatMap((name) => {
      const value = train[name] ?? defaults[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * The adapters that were merged into the model before the one that was trained, of those gone on from: LLaMA-Factory goes on in the
 * last and merges the others, or merges all where it makes a new one. They are served under the run's own.
 */
export function adaptersUnder(train: TrainArguments, adapters = ""): readonly string[] {
  const all = adapters.split(",").filter((folder) => folder !== "");
  return train["create_new_adapter"] === true ? all : all.slice(0, -1);
}

/** LLaMA-Factory's template; an experiment without one does not pass `readExperiment`. */
export function templateOf(train: TrainArguments): string {
  const { template } = train;
  if (typeof template !== "string") throw new TypeError("train.template is missing");
  return template;
}
