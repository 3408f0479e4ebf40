import type { Rule } from "./rule.ts";
import type { Settings } from "./settings.ts";

/** Where a number may lie. */
interface Range {
  readonly least?: number;
  readonly above?: number;
  readonly most?: number;
  readonly below?: number;
  /** Is it used at all? Default: yes. */
  readonly when?: (settings: Settings) => boolean;
  /** What to write. Default: a number within. */
  readonly next?: string;
}

const oneOrMore: Range = { least: 1 };
const zeroOrMore: Range = { least: 0 };
const share: Range = { least: 0, most: 1 };
const momentum: Range = { least: 0, below: 1 };
const stepwise = (strategy: string, next: string): Range => ({ above: 0, when: (s) => s.is(strategy, "steps"), next });

/**
 * Ranges of numbers, which LLaMA-Factory 0.9.5's parser does not look at: what lies outside fails when the model is loaded, at the first step,
 * or trains nothing. Sources: transformers 5.5.4 (training_args.py, trainer_callback.py), peft 0.18.1 (tuners/lora/layer.py), torch (optim,
 * nn.Dropout), datasets (`map`, `train_test_split`), numpy (`random.seed`), LLaMA-Factory's model/adapter.py and train/.
 */
const ranges: Readonly<Record<string, Range>> = {
  per_device_train_batch_size: oneOrMore,
  per_device_eval_batch_size: oneOrMore,
  gradient_accumulation_steps: oneOrMore,
  eval_accumulation_steps: oneOrMore,
  early_stopping_steps: oneOrMore,
  num_train_epochs: {
    above: 0,
    when: (s) => !(s.number("max_steps") > 0),
    next: "Write how many epochs to train, or `train.max_steps`.",
  },
  max_steps: { least: -1, next: "Write how many steps to train; -1 counts epochs." },
  // At 1 and above transformers takes it for a number of steps.
  warmup_ratio: { below: 1, next: "Write a share of the run such as 0.1; a number of steps is `train.warmup_steps`." },
  learning_rate: { above: 0 },
  weight_decay: zeroOrMore,
  adam_beta1: momentum,
  adam_beta2: momentum,
  adam_epsilon: zeroOrMore,
  max_grad_norm: { least: 0, next: "Write 1.0, the default; 0 turns clipping off." },
  label_smoothing_factor: share,
  neftune_noise_alpha: zeroOrMore,
  // numpy's seed has 32 bits.
  seed: { least: 0, most: 2 ** 32 - 1 },
  dataloader_num_workers: zeroOrMore,
  logging_steps: stepwise("logging_strategy", 'Write 1 or more, or `train.logging_strategy: "no"`.'),
  save_steps: stepwise("save_strategy", 'Write 1 or more, or `train.save_strategy: "no"`.'),
  // 0 stands for logging_steps.
  eval_steps: zeroOrMore,
  // transformers keeps all of them then.
  save_total_limit: { least: 1, next: "Write how many checkpoints to keep; the disk has to hold one more." },
  ddp_timeout: oneOrMore,
  cutoff_len: oneOrMore,
  max_samples: oneOrMore,
  val_size: { least: 0, next: "Write a share such as 0.1, or a number of rows." },
  preprocessing_num_workers: oneOrMore,
  buffer_size: { least: 1, when: (s) => s.on("streaming") },
  lora_rank: oneOrMore,
  lora_alpha: zeroOrMore,
  lora_dropout: share,
  module_dropout: share,
  loraplus_lr_ratio: { above: 0 },
  oft_rank: zeroOrMore,
  oft_block_size: zeroOrMore,
  galore_rank: oneOrMore,
  galore_update_interval: oneOrMore,
  apollo_rank: oneOrMore,
  apollo_update_interval: oneOrMore,
  dpo_label_smoothing: { least: 0, most: 0.5 },
  pref_ftx: zeroOrMore,
  pref_bco_weight: zeroOrMore,
  ppo_buffer_size: oneOrMore,
  ppo_epochs: oneOrMore,
  moe_aux_loss_coef: zeroOrMore,
  top_p: share,
  num_beams: oneOrMore,
  repetition_penalty: { above: 0 },
};

/** Told by the parser's own rules already. */
const toldBefore = (name: string, value: number): boolean => name === "logging_steps" && value === 0;

/** One rule for each range. */
export const rangeRules: readonly Rule[] = [
  ...Object.entries(ranges).map(([property, range]): Rule => ({
    property,
    forbids: (s) => {
      const value = s.number(property);
      return isOutside(value, range) && range.when?.(s) !== false && !toldBefore(property, value);
    },
    message: (s) => `must be ${wordsOf(range)}, got ${s.number(property)}.`,
    next: range.next ?? "Write such a number, or remove it.",
  })),
  {
    property: "freeze_trainable_layers",
    forbids: (s) =>
      s.number("freeze_trainable_layers") === 0 && (s.is("finetuning_type", "freeze") || s.on("use_llama_pro")),
    message: "must not be 0: nothing would be trained.",
    next: "Write how many of the last layers to train, or a negative number for the first ones.",
  },
];

function isOutside(value: number, { least, above, most, below }: Range): boolean {
  return (
    (least !== undefined && value < least) ||
    (above !== undefined && value <= above) ||
    (most !== undefined && value > most) ||
    (below !== undefined && value >= below)
  );
}

function wordsOf({ least, above, most, below }: Range): string {
  const words = [
    ...(least === undefined ? [] : [`at least ${least}`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(most === undefined ? [] : [`at most ${most}`]),
    ...(below === undefined ? [] : [`below ${below}`]),
  ];
  return words.join(" and ");
}
