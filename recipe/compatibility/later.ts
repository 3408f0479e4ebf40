import type { Rule } from "./rule.ts";

const galoreOptimizers = ["adamw_torch", "adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit", "adafactor"];

const layerwise = (method: string): Rule => ({
  property: "gradient_accumulation_steps",
  forbids: (s) => s.on(`use_${method}`) && s.on(`${method}_layerwise`) && s.number("gradient_accumulation_steps") !== 1,
  message: `must be 1 with ${method}_layerwise: gradients are used as they come.`,
  next: `Set it to 1, or remove ${method}_layerwise.`,
});

const bits = (method: string, allowed: readonly number[]): Rule => ({
  property: "quantization_bit",
  forbids: (s) =>
    s.has("quantization_bit") && s.is("quantization_method", method) && !allowed.includes(s.number("quantization_bit")),
  message: (s) =>
    `must be ${allowed.length > 1 ? "one of " : ""}${allowed.join(", ")} with quantization_method ${method}, got ${s.number("quantization_bit")}.`,
  next: "Write 4 for the least memory.",
});

const hostFile = (property: string): Rule => ({
  property,
  forbids: (s) => s.text(property) !== "" && !s.text(property).startsWith("{") && !s.text(property).startsWith("/"),
  message: (s) => `is a file relative to nothing on the machine that trains: ${JSON.stringify(s.text(property))}.`,
  next: "Write its content here as a map, so that it is part of the run, or an absolute path on that machine.",
});

const unavailable = (property: string, what: string): Rule => ({
  property,
  forbids: (s) => s.on(property),
  message: `needs ${what}, which no environment of tuneup has.`,
  next: "Remove it.",
});

/** What LLaMA-Factory's parser lets pass and its own code refuses later, when the model is loaded or trained. */
export const laterRules: readonly Rule[] = [
  bits("bnb", [4, 8]),
  bits("hqq", [1, 2, 3, 4, 5, 6, 8]),
  bits("eetq", [8]),
  {
    property: "quantization_method",
    forbids: (s) => s.has("quantization_bit") && !s.is("quantization_method", "bnb", "hqq", "eetq"),
    message: (s) =>
      `${s.text("quantization_method")} can't quantize a model in training: it is for models that are quantized already.`,
    next: "Set it to bnb, or remove quantization_bit and name a quantized base model.",
  },
  {
    property: "optim",
    forbids: (s) => s.on("use_galore") && !galoreOptimizers.includes(s.text("optim")),
    message: (s) => `must be one of ${galoreOptimizers.join(", ")} with use_galore, got ${s.text("optim")}.`,
    next: "Set `train.optim: adamw_torch`.",
  },
  {
    property: "optim",
    forbids: (s) => s.on("use_apollo") && !s.is("optim", "adamw_torch"),
    message: (s) => `must be adamw_torch with use_apollo, got ${s.text("optim")}.`,
    next: "Set `train.optim: adamw_torch`.",
  },
  layerwise("galore"),
  layerwise("apollo"),
  {
    property: "badam_update_ratio",
    forbids: (s) => s.on("use_badam") && s.is("badam_mode", "ratio") && !(s.number("badam_update_ratio") > 1e-6),
    message: "must be above 0 with badam_mode ratio.",
    next: "Write 0.05, the default.",
  },
  {
    property: "val_size",
    forbids: (s) => s.is("stage", "ppo") && (s.holdsBack || s.has("eval_dataset")),
    message: "and eval_dataset do not work in stage ppo: it has no evaluation.",
    next: "Remove it.",
  },
  {
    property: "reward_model",
    forbids: (s) =>
      s.is("stage", "ppo") &&
      s.is("reward_model_type", "api") &&
      s.has("reward_model") &&
      !s.text("reward_model").startsWith("http"),
    message: "must be an address that begins with http, as reward_model_type is api.",
    next: "Write the whole address.",
  },
  {
    property: "tokenized_path",
    forbids: (s) => s.on("streaming") && s.has("tokenized_path"),
    message: "does not work with streaming: true.",
    next: "Remove one of the two.",
  },
  {
    property: "early_stopping_steps",
    forbids: (s) => s.has("early_stopping_steps") && s.is("eval_strategy", "no"),
    message: "needs evaluation, and eval_strategy is no.",
    next: "Set `train.eval_strategy: steps` and `train.val_size`, or remove it.",
  },
  {
    property: "early_stopping_steps",
    forbids: (s) =>
      s.has("early_stopping_steps") &&
      !s.has("metric_for_best_model") &&
      !s.on("load_best_model_at_end") &&
      !s.is("lr_scheduler_type", "reduce_lr_on_plateau", "greedy"),
    message: "needs to know what is best.",
    next: "Set `tuneup:serve.checkpoint: best`, or `train.metric_for_best_model: eval_loss`.",
  },
  {
    property: "save_strategy",
    forbids: (s) => s.is("save_strategy", "best") && !s.has("metric_for_best_model") && !s.on("load_best_model_at_end"),
    message: "best needs to know what is best.",
    next: "Set `tuneup:serve.checkpoint: best`, or `train.metric_for_best_model: eval_loss`.",
  },
  {
    property: "neat_packing",
    forbids: (s) => s.on("neat_packing") && s.is("flash_attn", "fa2") && s.number("per_device_train_batch_size") !== 1,
    message: (s) => `with flash_attn fa2 needs a batch of 1, got ${s.number("per_device_train_batch_size")}.`,
    next: "Set `train.per_device_train_batch_size: 1`: the rows are packed into one anyway.",
  },
  {
    property: "fsdp",
    forbids: (s, { distributed = false }) => s.on("fsdp") && !distributed,
    message: "needs a start by torchrun, and this training is one process on one device.",
    next: "Remove it: it shares a model among several GPUs.",
  },
  {
    property: "fsdp",
    forbids: (s) => s.on("fsdp") && s.on("deepspeed"),
    message: "and deepspeed exclude each other.",
    next: "Keep one of the two.",
  },
  {
    property: "push_to_hub",
    forbids: (s) => s.on("push_to_hub"),
    message: "needs a token, and no secret reaches a training.",
    next: "Upload the artifact when the run is complete: `tuneup status` names its folder.",
  },
  ...["deepspeed", "fsdp_config", "accelerator_config", "new_special_tokens_config"].map(hostFile),
  unavailable("use_hyper_parallel", "hyper_parallel"),
  unavailable("use_mca", "mcore_adapter"),
];
