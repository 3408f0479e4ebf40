import type { Rule } from "./rule.ts";

/** LLaMA-Factory 0.9.5, hparams/data_args.py `__post_init__`. */
export const dataRules: readonly Rule[] = [
  {
    property: "val_size",
    forbids: (s) => !s.has("dataset") && s.holdsBack,
    message: "holds rows of no dataset back.",
    next: "Name a dataset under `tuneup:datasets`.",
  },
  {
    property: "val_size",
    forbids: (s) => s.has("eval_dataset") && s.holdsBack,
    message: "and eval_dataset both say what to evaluate on.",
    next: "Keep one of the two.",
  },
  {
    property: "interleave_probs",
    forbids: (s) => s.has("interleave_probs") && s.is("mix_strategy", "concat"),
    message: "is for interleaved mixing, and mix_strategy is concat.",
    next: "Set `train.mix_strategy` to interleave_under, interleave_over or interleave_once, or remove it.",
  },
  {
    property: "interleave_probs",
    forbids: (s) => s.has("interleave_probs") && s.list("interleave_probs").some((part) => !isPythonFloat(part)),
    message: (s) =>
      `must be numbers with commas between them, such as "0.7,0.3"; got ${JSON.stringify(s.value("interleave_probs"))}.`,
    next: "Write one probability for each dataset.",
  },
  {
    property: "interleave_probs",
    forbids: (s) =>
      s.has("interleave_probs") &&
      ["dataset", "eval_dataset"].some(
        (name) => s.has(name) && s.list(name).length !== s.list("interleave_probs").length,
      ),
    message: (s) =>
      `has ${s.list("interleave_probs").length} probabilities for ${s.list(s.has("dataset") ? "dataset" : "eval_dataset").length} datasets.`,
    next: "Write one probability for each dataset, in their order.",
  },
  {
    property: "val_size",
    forbids: (s) => s.on("streaming") && s.holdsBack && s.number("val_size") < 1,
    message: (s) => `must be a number of rows with streaming: true, got the share ${s.number("val_size")}.`,
    next: "Write how many rows to hold back, such as 200.",
  },
  {
    property: "max_samples",
    forbids: (s) => s.on("streaming") && s.has("max_samples"),
    message: "does not work with streaming: true.",
    next: "Remove one of the two; `train.max_steps` bounds a streamed run.",
  },
  {
    property: "mask_history",
    forbids: (s) => s.on("mask_history") && s.on("train_on_prompt"),
    message: "does not work with train_on_prompt: true.",
    next: "Keep one of the two.",
  },
];

/** What Python's float() takes of what people write. */
function isPythonFloat(text: string): boolean {
  return /^\s*[+-]?((\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)\s*$/i.test(text);
}
