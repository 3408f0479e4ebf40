import type { Rule } from "./rule.ts";

const sftOnly = (property: string): Rule => ({
  property,
  forbids: (s) => !s.is("stage", "sft") && s.on(property),
  message: (s) => `is for stage sft, and it is ${s.text("stage")}.`,
  next: "Remove it, or set `train.stage: sft`.",
});

const loggersOfPpo = ["wandb", "tensorboard", "trackio", "none"];

/** What stages ask of other arguments: LLaMA-Factory 0.9.5, hparams/finetuning_args.py and hparams/parser.py. */
export const stageRules: readonly Rule[] = [
  ...["predict_with_generate", "neat_packing", "train_on_prompt", "mask_history"].map(sftOnly),
  {
    property: "do_predict",
    forbids: (s) => s.is("stage", "sft") && s.on("do_predict") && !s.on("predict_with_generate"),
    message: "needs predict_with_generate: true to have anything to save.",
    next: "Add `train.predict_with_generate: true`, or remove it.",
  },
  {
    property: "load_best_model_at_end",
    forbids: (s) => s.is("stage", "rm", "ppo") && s.on("load_best_model_at_end"),
    message: (s) => `does not work in stage ${s.text("stage")}.`,
    next: "Remove it, and leave `tuneup:serve.checkpoint` at last.",
  },
  {
    property: "reward_model",
    forbids: (s) => s.is("stage", "ppo") && !s.has("reward_model"),
    message: "is required in stage ppo.",
    next: "Name the adapter or the model of a run of stage rm.",
  },
  {
    property: "reward_model_type",
    forbids: (s) => s.is("stage", "ppo") && s.is("reward_model_type", "lora") && !s.is("finetuning_type", "lora"),
    message: (s) => `lora needs finetuning_type lora, and it is ${s.text("finetuning_type")}.`,
    next: "Set `train.reward_model_type: full`, or `train.finetuning_type: lora`.",
  },
  {
    property: "do_train",
    forbids: (s) => s.is("stage", "ppo") && !s.on("do_train"),
    message: "must be true in stage ppo.",
    next: "Evaluate in stage sft.",
  },
  {
    property: "shift_attn",
    forbids: (s) => s.is("stage", "ppo") && s.on("shift_attn"),
    message: "does not work in stage ppo.",
    next: "Remove it.",
  },
  ...["use_kt", "use_unsloth"].map((property): Rule => ({
    property,
    forbids: (s) => s.is("stage", "ppo") && s.is("reward_model_type", "lora") && s.on(property),
    message: "does not work with reward_model_type lora.",
    next: "Set `train.reward_model_type: full`, or remove it.",
  })),
  {
    property: "report_to",
    forbids: (s) =>
      s.is("stage", "ppo") &&
      !s.is("report_to", "all") &&
      loggersOf(s.value("report_to")).some((name) => !loggersOfPpo.includes(name)),
    message: (s) =>
      `must be none, wandb, tensorboard or trackio in stage ppo, got ${JSON.stringify(s.value("report_to"))}.`,
    next: "Write `train.report_to: none`.",
  },
  {
    property: "dpo_label_smoothing",
    forbids: (s) => s.is("stage", "dpo") && !s.is("pref_loss", "sigmoid") && s.number("dpo_label_smoothing") > 1e-6,
    message: (s) => `is for pref_loss sigmoid, and it is ${s.text("pref_loss")}.`,
    next: "Remove it, or set `train.pref_loss: sigmoid`.",
  },
];

/** A text is one name: LLaMA-Factory does not split it at commas. */
function loggersOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)];
}
