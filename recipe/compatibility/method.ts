import type { Rule } from "./rule.ts";

const loraOnly = (property: string): Rule => ({
  property,
  forbids: (s) =>
    !s.is("finetuning_type", "lora") && (property === "loraplus_lr_ratio" ? s.has(property) : s.on(property)),
  message: (s) => `is for finetuning_type lora, and it is ${s.text("finetuning_type")}.`,
  next: "Remove it, or set `train.finetuning_type: lora`.",
});

const quantizationBits = (property: string): Rule => ({
  property,
  forbids: (s) => s.has(property) && ![4, 8].includes(s.number(property)),
  message: (s) => `must be 4 or 8, got ${JSON.stringify(s.value(property))}.`,
  next: "Write 4 or 8, or remove it.",
});

const lowRankOptimizers = ["use_galore", "use_apollo", "use_badam"] as const;

/** LLaMA-Factory 0.9.5, hparams/finetuning_args.py `__post_init__`: methods and what goes with them. */
export const methodRules: readonly Rule[] = [
  quantizationBits("ref_model_quantization_bit"),
  quantizationBits("reward_model_quantization_bit"),
  {
    property: "use_llama_pro",
    forbids: (s) => s.on("use_llama_pro") && s.is("finetuning_type", "full"),
    message: "is for finetuning_type freeze or lora, and it is full.",
    next: "Set `train.finetuning_type: freeze`, or remove it.",
  },
  ...lowRankOptimizers.map((property): Rule => ({
    property,
    forbids: (s) => s.is("finetuning_type", "lora") && s.on(property),
    message: "does not work with finetuning_type lora: it is an optimizer for full training.",
    next: "Set `train.finetuning_type: full` (or freeze), or remove it.",
  })),
  {
    property: "use_badam",
    forbids: (s) => lowRankOptimizers.filter((name) => s.on(name)).length > 1,
    message: "use_galore and use_apollo exclude each other.",
    next: "Keep one of the three.",
  },
  {
    property: "pissa_init",
    forbids: (s) =>
      s.on("pissa_init") &&
      (s.is("stage", "ppo", "kto") || (s.is("stage", "dpo") && !s.is("pref_loss", "orpo", "simpo"))),
    message: (s) =>
      `does not work in stage ${s.text("stage")}: PiSSA changes the weights that the reference model needs.`,
    next: "Remove it; in stage dpo it works with `train.pref_loss` orpo or simpo.",
  },
  ...["loraplus_lr_ratio", "use_rslora", "use_dora", "pissa_init"].map(loraOnly),
];
