import type { RunSpec } from "../../recipe/protocol.ts";

/** LlamaBoard's own words for stages: extras/constants.py, TRAINING_STAGES. */
const stages: Readonly<Record<string, string>> = {
  sft: "Supervised Fine-Tuning",
  rm: "Reward Modeling",
  ppo: "PPO",
  dpo: "DPO",
  kto: "KTO",
  pt: "Pre-Training",
};

/** Elements of LlamaBoard that hold an argument under another name or of its own; by the argument. */
const elements: Readonly<Record<string, string>> = {
  template: "top.template",
  finetuning_type: "top.finetuning_type",
  cutoff_len: "train.cutoff_len",
  per_device_train_batch_size: "train.batch_size",
  gradient_accumulation_steps: "train.gradient_accumulation_steps",
  val_size: "train.val_size",
  lr_scheduler_type: "train.lr_scheduler_type",
  logging_steps: "train.logging_steps",
  save_steps: "train.save_steps",
  warmup_steps: "train.warmup_steps",
  lora_rank: "train.lora_rank",
  lora_alpha: "train.lora_alpha",
  lora_dropout: "train.lora_dropout",
  use_rslora: "train.use_rslora",
  use_dora: "train.use_dora",
};

/** Elements that are text fields, although a number is meant. */
const texts: Readonly<Record<string, string>> = {
  learning_rate: "train.learning_rate",
  num_train_epochs: "train.num_train_epochs",
  max_grad_norm: "train.max_grad_norm",
  max_samples: "train.max_samples",
};

/** What LlamaBoard decides itself, in elements of their own or from its folders. */
const decided = new Set([
  ...["stage", "do_train", "model_name_or_path", "dataset", "dataset_dir", "output_dir", "overwrite_output_dir"],
  ...["bf16", "fp16", "pure_bf16", "plot_loss", "report_to", "include_num_input_tokens_seen", "eval_strategy"],
]);

/**
 * A run's arguments as a configuration that LlamaBoard loads ("Load arguments"). What it has no element for goes into its "Extra
 * arguments", which it adds last: the training that it starts gets the same arguments.
 */
export function boardConfig({ arguments: all }: Pick<RunSpec, "arguments">): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  // LlamaBoard sets these by itself; null and false take them back.
  const extra: Record<string, unknown> = { trust_remote_code: false, preprocessing_num_workers: null };
  if (all["max_samples"] === undefined) extra["max_samples"] = null;
  for (const [name, value] of Object.entries(all)) {
    const element = elements[name];
    const text = texts[name];
    if (element !== undefined) config[element] = value;
    else if (text !== undefined) config[text] = String(value);
    else if (!decided.has(name)) extra[name] = value;
  }
  const computing = (["pure_bf16", "bf16", "fp16"] as const).find((name) => all[name] === true);
  return {
    ...config,
    "train.training_stage": stages[textOr(all["stage"], "sft")],
    "train.dataset_dir": "data",
    "train.dataset": textOr(all["dataset"], "").split(","),
    "train.compute_type": computing ?? "fp32",
    "train.report_to": "none",
    "train.extra_args": JSON.stringify(extra),
  };
}

/** LlamaBoard's user_config.yaml: language, and the model that is selected when its page opens. */
export function boardUser(weights: string, language: string): Record<string, unknown> {
  return {
    lang: language,
    hub_name: "huggingface",
    last_model: "Custom",
    path_dict: { Custom: weights },
    cache_dir: null,
  };
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}
