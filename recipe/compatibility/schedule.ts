import type { Rule } from "./rule.ts";
import type { Settings } from "./settings.ts";

/** What evaluation by steps counts: without eval_steps it is logging_steps. */
function evalSteps(s: Settings): number {
  const own = s.number("eval_steps");
  return own === 0 || Number.isNaN(own) ? s.number("logging_steps") : own;
}

const wholeSteps = (property: string, strategy: string, steps: (s: Settings) => number): Rule => ({
  property,
  forbids: (s) => s.is(strategy, "steps") && steps(s) > 1 && !Number.isInteger(steps(s)),
  message: (s) => `must be a whole number of steps, or a share of the run below 1; got ${steps(s)}.`,
  next: "Round it.",
});

const bestNeedsMultiple = (s: Settings): boolean => {
  const [save, evaluation] = [s.number("save_steps"), evalSteps(s)];
  if (save % evaluation === 0) return false;
  if (evaluation >= 1 && save >= 1) return true;
  // Shares of the run on both sides are compared at a millionth, as transformers does.
  return !(evaluation < 1 && save < 1) || (save * 1e6) % (evaluation * 1e6) !== 0;
};

const picksBest = (s: Settings): boolean => s.on("load_best_model_at_end") && !s.is("save_strategy", "best");

/** When it logs, evaluates and saves: transformers 5.5.4, training_args.py `__post_init__` and `_validate_args`. */
export const scheduleRules: readonly Rule[] = [
  {
    property: "eval_steps",
    forbids: (s) => s.is("eval_strategy", "steps") && !s.on("eval_steps") && !(s.number("logging_steps") > 0),
    message: "is required with eval_strategy steps, as logging_steps is not above 0 either.",
    next: "Write every how many steps to evaluate.",
  },
  {
    property: "logging_steps",
    forbids: (s) => s.is("logging_strategy", "steps") && s.number("logging_steps") === 0,
    message: "must not be 0 with logging_strategy steps.",
    next: 'Write 1 or more, or `train.logging_strategy: "no"`.',
  },
  wholeSteps("logging_steps", "logging_strategy", (s) => s.number("logging_steps")),
  wholeSteps("eval_steps", "eval_strategy", evalSteps),
  wholeSteps("save_steps", "save_strategy", (s) => s.number("save_steps")),
  {
    property: "load_best_model_at_end",
    forbids: (s) => picksBest(s) && s.text("eval_strategy") !== s.text("save_strategy"),
    message: (s) =>
      `needs evaluation and saving at the same time: eval_strategy is ${s.text("eval_strategy")}, save_strategy ${s.text("save_strategy")}.`,
    next: "Give `train.eval_strategy` and `train.save_strategy` the same value.",
  },
  {
    property: "save_steps",
    forbids: (s) =>
      picksBest(s) && s.is("eval_strategy", "steps") && s.is("save_strategy", "steps") && bestNeedsMultiple(s),
    message: (s) =>
      `must be a multiple of eval_steps to know the best checkpoint: ${s.number("save_steps")} is none of ${evalSteps(s)}.`,
    next: "Set `train.save_steps` to `train.eval_steps`.",
  },
  ...["reduce_lr_on_plateau", "greedy"].map((scheduler): Rule => ({
    property: "lr_scheduler_type",
    forbids: (s) => s.is("lr_scheduler_type", scheduler) && s.is("eval_strategy", "no"),
    message: `${scheduler} needs evaluation, and eval_strategy is no.`,
    next: "Set `train.eval_strategy: steps` and `train.val_size`, or take cosine.",
  })),
  {
    property: "warmup_steps",
    forbids: (s) => (s.has("warmup_ratio") ? s.number("warmup_ratio") : s.number("warmup_steps")) < 0,
    message: "and warmup_ratio must not be negative.",
    next: "Write 0 or more.",
  },
  {
    property: "torch_empty_cache_steps",
    forbids: (s) =>
      s.has("torch_empty_cache_steps") &&
      !(Number.isInteger(s.number("torch_empty_cache_steps")) && s.number("torch_empty_cache_steps") > 0),
    message: (s) => `must be a whole number above 0, got ${JSON.stringify(s.value("torch_empty_cache_steps"))}.`,
    next: "Write such a number, or remove it.",
  },
  {
    property: "max_steps",
    forbids: (s) => s.on("streaming") && s.number("max_steps") === -1,
    message: "is required with streaming: true: the length of a stream is not known.",
    next: "Write how many steps to train.",
  },
  {
    property: "val_size",
    forbids: (s) =>
      (s.evaluates || s.on("do_predict") || s.on("predict_with_generate")) &&
      !s.has("eval_dataset") &&
      s.number("val_size") < 1e-6,
    message: "is 0 and there is no eval_dataset, but evaluation or prediction is asked for.",
    next: "Hold rows back with `train.val_size: 0.1`, or turn evaluation off.",
  },
  {
    property: "compute_accuracy",
    forbids: (s) => s.on("predict_with_generate") && s.on("compute_accuracy"),
    message: "does not work with predict_with_generate: true.",
    next: "Keep one of the two.",
  },
  {
    property: "dataset",
    forbids: (s) => s.on("do_train") && !s.has("dataset"),
    message: "is required to train.",
    next: "Name a dataset under `tuneup:datasets`.",
  },
  {
    property: "project",
    forbids: (s) => [s.value("report_to")].flat().includes("trackio") && !s.on("project"),
    message: "is required with report_to trackio.",
    next: "Name the project.",
  },
];
