import known from "./llamafactory-arguments.json" with { type: "json" };
import type { FaultFacts } from "./fault.ts";
import { nearest } from "./nearest.ts";

/** One argument of LLaMA-Factory's, as read from the locked environment by scripts/read_arguments.py. */
interface Argument {
  readonly group: string;
  readonly kinds: readonly string[];
  readonly default: unknown;
  readonly choices?: readonly unknown[];
  readonly help: string;
}

const knownArguments: Readonly<Record<string, Argument>> = known;

/** A value of LLaMA-Factory's YAML. */
export type ArgumentValue = string | number | boolean | null | readonly unknown[] | Readonly<Record<string, unknown>>;

/** LLaMA-Factory arguments by name. */
export type TrainArguments = Readonly<Record<string, ArgumentValue>>;

/** LLaMA-Factory's default of an argument; null where it has none or computes it. */
export function argumentDefault(name: string): ArgumentValue {
  return (knownArguments[name]?.default ?? null) as ArgumentValue;
}

/** Arguments that tuneup sets itself: why, and where to say it instead. */
export const ownedArguments: Readonly<Record<string, string>> = {
  model_name_or_path: "The base model is fetched, verified and named by `tuneup:model`; say it there.",
  adapter_name_or_path: "An adapter to go on from is `tuneup:model.adapter`; the one that is served is the run's own.",
  dataset: "Datasets are checked and registered by `tuneup:datasets`; list them there.",
  eval_dataset: "Datasets are checked and registered by `tuneup:datasets`; use `train.val_size` to hold rows back.",
  dataset_dir: "tuneup writes the dataset folder from `tuneup:datasets`.",
  output_dir: "Each run has a folder of its own in the data directory (`tuneup:storage.dataDirectory`).",
  overwrite_output_dir:
    "It would switch resuming off and delete the log; a changed experiment gets a new folder by itself.",
  resume_from_checkpoint: "tuneup resumes from the newest complete checkpoint by itself.",
  logging_dir: "Metrics are kept with the run; `npx tuneup status` and the web page show them.",
  disable_tqdm: "Progress is reported by tuneup.",
  include_num_input_tokens_seen: "It is always on: tokens per second come from it.",
  infer_backend: "The serving engine is `tuneup:serve.engine`.",
  do_train: "`tuneup up` trains; it is always on. `do_eval` and `do_predict` add work after the training.",
};

/** Arguments that hold a secret: `train` is written to disk and shown. */
export const secretArguments: ReadonlySet<string> = new Set([
  "hf_hub_token",
  "ms_hub_token",
  "om_hub_token",
  "hub_token",
  "push_to_hub_token",
  "swanlab_api_key",
  "swanlab_lark_secret",
]);

/** Names of older releases, which tutorials still have: what to write today. */
const renamed: Readonly<Record<string, string>> = {
  evaluation_strategy: "eval_strategy",
  group_by_length: "train_sampling_strategy: group_by_length",
  length_column_name: "train_sampling_strategy: group_by_length",
  no_cuda: "use_cpu",
  lora_modules: "lora_target",
  dpo_beta: "pref_beta",
  dpo_loss: "pref_loss",
  dpo_ftx: "pref_ftx",
  flash_attention: "flash_attn",
  use_liger_kernel: "enable_liger_kernel",
  name_module_trainable: "freeze_trainable_modules",
  num_layer_trainable: "freeze_trainable_layers",
  max_source_length: "cutoff_len",
  max_target_length: "cutoff_len",
};

/** A `train` block that passed: values of the kinds that LLaMA-Factory expects. */
export interface CheckedArguments {
  readonly arguments: TrainArguments;
  readonly faults: readonly FaultFacts[];
}

const exactNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/**
 * Checks a `train` block against LLaMA-Factory's own arguments: name, kind, choices, and what tuneup owns. A string that is exactly a number
 * (`pulumi config set --path` writes those) is taken as one where a number is due.
 *
 * LLaMA-Factory takes a value of any kind from a file and fails where it is used, so this is stricter than its parser: all that passes here
 * passes there, as far as kinds go. Whether arguments go together is told by `incompatibilities`.
 */
export function checkArguments(train: Readonly<Record<string, unknown>>): CheckedArguments {
  const checked: Record<string, ArgumentValue> = {};
  const faults: FaultFacts[] = [];
  for (const [name, value] of Object.entries(train)) {
    const result = checkArgument(name, value);
    if ("fault" in result) faults.push({ property: `train.${name}`, ...result.fault });
    else checked[name] = result.value;
  }
  return { arguments: checked, faults };
}

type Outcome = { readonly value: ArgumentValue } | { readonly fault: Omit<FaultFacts, "property"> };

function checkArgument(name: string, value: unknown): Outcome {
  const owned = Object.hasOwn(ownedArguments, name) ? ownedArguments[name] : undefined;
  if (owned !== undefined) {
    return { fault: { code: "argument-owned", message: "is set by tuneup itself.", next: owned } };
  }
  if ((secretArguments.has(name) && value !== null) || isSecure(value)) {
    return {
      fault: {
        code: "argument-secret",
        message: "holds a secret, and `train` is written to disk in plain text.",
        next: "Use a top-level key such as `tuneup:hubToken` (`pulumi config set --secret hubToken`).",
      },
    };
  }
  const argument = Object.hasOwn(knownArguments, name) ? knownArguments[name] : undefined;
  if (argument === undefined) {
    return { fault: unknownArgument(name) };
  }
  return checkValue(argument, value);
}

function isSecure(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).join() === "secure";
}

function unknownArgument(name: string): Omit<FaultFacts, "property"> {
  const message = "is not an argument of LLaMA-Factory 0.9.5.";
  const today = Object.hasOwn(renamed, name) ? renamed[name] : undefined;
  if (today !== undefined) {
    return { code: "argument-unknown", message, next: `It is called \`${today}\` now.` };
  }
  const close = nearest(name, Object.keys(knownArguments));
  const next =
    close.length > 0 ? `Did you mean ${close.join(" or ")}?` : "Its arguments are listed in docs/reference.md.";
  return { code: "argument-unknown", message, next };
}

function checkValue(argument: Argument, given: unknown): Outcome {
  const { kinds, choices } = argument;
  const value = asDue(given, kinds);
  const fits = kinds.some((kind) => isOfKind(value, kind));
  if (fits && (choices === undefined || value === null || choices.includes(value))) {
    return { value: value as ArgumentValue };
  }
  const message = `${expectation(argument)}, got ${JSON.stringify(given)}.`;
  const next = valueHint(argument, given);
  return { fault: { code: "argument-value", message, ...(next === undefined ? {} : { next }) } };
}

/** What a string stands for where something else is due; inside a map as transformers reads its JSON arguments. */
function asDue(given: unknown, kinds: readonly string[]): unknown {
  if (isMap(given) && kinds.includes("object")) return plainMap(given);
  if (typeof given !== "string" || kinds.includes("string")) return given;
  if ((kinds.includes("number") || kinds.includes("integer")) && exactNumber.test(given.trim())) return Number(given);
  if (kinds.includes("boolean") && /^(true|false)$/i.test(given)) return given.toLowerCase() === "true";
  if (kinds.includes("null") && given === "null") return null;
  return given;
}

function plainMap(map: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [
      key,
      isMap(value) ? plainMap(value) : asDue(value, ["number", "boolean", "any"]),
    ]),
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const truths: Readonly<Record<string, string>> = {
  yes: "true",
  on: "true",
  "1": "true",
  no: "false",
  off: "false",
  "0": "false",
};

function valueHint({ kinds, choices }: Argument, given: unknown): string | undefined {
  if (given === false && choices?.includes("no") === true)
    return 'Write "no" with its quotes: YAML takes a bare no for false.';
  if (kinds.includes("boolean") && (typeof given === "string" || typeof given === "number")) {
    const truth = truths[String(given).toLowerCase()];
    return truth === undefined ? undefined : `Write ${truth}.`;
  }
  const close = typeof given === "string" ? nearest(given, (choices ?? []).map(String)) : [];
  return close.length > 0 ? `Did you mean ${close.join(" or ")}?` : undefined;
}

function isOfKind(value: unknown, kind: string): boolean {
  switch (kind) {
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number" && Number.isFinite(value);
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "any":
      return true;
    default:
      return typeof value === kind;
  }
}

const kindNames: Readonly<Record<string, string>> = {
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  string: "a text",
  array: "a list",
  object: "a map",
};

const mostChoicesShown = 12;

function expectation({ kinds, choices, default: standard }: Argument): string {
  const names = kinds.flatMap((kind) => kindNames[kind] ?? []);
  if (names.length === 0) return "can't be set in a file: it must be left out";
  const allowed =
    choices === undefined
      ? names.join(" or ")
      : choices.length > mostChoicesShown
        ? `one of ${choices.length} names that LLaMA-Factory knows`
        : `one of ${choices.map(String).join(", ")}`;
  const example = typeof standard === "number" ? ` such as ${String(standard)}` : "";
  return `must be ${allowed}${example}`;
}
