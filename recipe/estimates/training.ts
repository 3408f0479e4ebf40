import type { TrainArguments } from "../arguments.ts";
import { Settings } from "../compatibility/settings.ts";
import { loraParameters, oftParameters, type Parameters, parametersOf } from "./parameters.ts";
import type { ModelShape } from "./model-config.ts";

/** How much of the model an optimizer keeps in memory for each trained parameter. */
export type OptimizerKind = "adam" | "adam-8bit" | "one-moment" | "adafactor" | "sgd" | "low-rank" | "block";

/** What of LLaMA-Factory's arguments decides memory. */
export interface Training {
  readonly method: "lora" | "oft" | "freeze" | "full";
  /** Parameters that get a gradient. */
  readonly trained: number;
  /** Layers through which gradients flow. */
  readonly depth: number;
  readonly rank: number;
  readonly targets: readonly string[];
  readonly dora: boolean;
  /** Bits of a matrix's element: 16, or fewer by quantization. */
  readonly bits: number;
  /** Bytes of a trained parameter: 4, with pure_bf16 and BAdam 2. */
  readonly trainedBytes: 2 | 4;
  readonly optimizer: OptimizerKind;
  /** Rank of GaLore's or APOLLO's projection. */
  readonly projection: number;
  readonly batch: number;
  readonly cutoff: number;
  readonly checkpointing: boolean;
  readonly liger: boolean;
  /** ZeRO stage, 0 without DeepSpeed. */
  readonly zero: 0 | 1 | 2 | 3;
  readonly gpus: number;
  /** Copies of the model beside the one that trains: dpo, kto and ppo compare with one, unless it is an adapter. */
  readonly references: number;
  /** Rows of a batch go through the model twice or more at once: dpo and rm pair a good and a bad answer. */
  readonly rowsEach: number;
}

/** Reads what decides memory. `gpus`: cards of one model. What is not said has LLaMA-Factory's default. */
export function trainingOf(train: TrainArguments, shape: ModelShape, gpus: number): Training {
  const settings = new Settings(train);
  const method = settings.text("finetuning_type") as Training["method"];
  const parameters = parametersOf(shape);
  const targets = settings.list("lora_target");
  const stage = settings.text("stage");
  const adapter = method === "lora" || method === "oft";
  const reference = ["dpo", "kto", "ppo"].includes(stage) && !adapter;
  return {
    ...{ method, targets, gpus },
    trained: trainedOf(settings, shape, parameters),
    depth: method === "freeze" ? frozenDepth(settings, shape) : shape.layers,
    rank: method === "lora" ? settings.number("lora_rank") : 0,
    dora: settings.on("use_dora"),
    bits: settings.has("quantization_bit") ? settings.number("quantization_bit") : 16,
    trainedBytes: settings.on("pure_bf16") || settings.on("use_badam") ? 2 : 4,
    optimizer: optimizerOf(settings),
    projection: settings.on("use_apollo") ? settings.number("apollo_rank") : settings.number("galore_rank"),
    batch: settings.number("per_device_train_batch_size"),
    cutoff: settings.number("cutoff_len"),
    checkpointing: !settings.on("disable_gradient_checkpointing"),
    liger: settings.on("enable_liger_kernel") && (stage === "sft" || stage === "pt"),
    zero: zeroStage(settings),
    references: reference ? 1 : 0,
    rowsEach: stage === "dpo" || stage === "rm" || stage === "kto" ? 2 : 1,
  };
}

function trainedOf(settings: Settings, shape: ModelShape, parameters: Parameters): number {
  const extra = extraModules(settings, parameters);
  const rank = settings.number("lora_rank");
  switch (settings.text("finetuning_type")) {
    case "full":
      return parameters.total;
    case "freeze":
      return frozenDepth(settings, shape) * parameters.perLayer + extra;
    case "oft":
      return (
        oftParameters(shape, { block: settings.number("oft_block_size"), targets: settings.list("lora_target") }) +
        extra
      );
    default:
      return (
        loraParameters(shape, { rank, targets: settings.list("lora_target"), dora: settings.on("use_dora") }) + extra
      );
  }
}

/** Embeddings and head that `additional_target` or `freeze_extra_modules` train whole. */
function extraModules(settings: Settings, { embeddings }: Parameters): number {
  const names = [...settings.list("additional_target"), ...settings.list("freeze_extra_modules")];
  return names.filter((name) => name === "embed_tokens" || name === "lm_head").length * embeddings;
}

/** Layers that `freeze` trains: the last ones, or the first ones for a negative number. */
function frozenDepth(settings: Settings, { layers }: ModelShape): number {
  return Math.min(layers, Math.abs(settings.number("freeze_trainable_layers")));
}

function optimizerOf(settings: Settings): OptimizerKind {
  const name = settings.text("optim");
  if (settings.on("use_badam")) return "block";
  if (settings.on("use_galore") || settings.on("use_apollo")) return "low-rank";
  if (name.includes("8bit")) return "adam-8bit";
  if (name.includes("adafactor")) return "adafactor";
  if (name === "sgd") return "sgd";
  return name.includes("lion") || name === "rmsprop" || name === "adagrad" ? "one-moment" : "adam";
}

/** The stage that a DeepSpeed config says: written inline, or in a file by LLaMA-Factory's own names (ds_z3_config.json). */
function zeroStage(settings: Settings): Training["zero"] {
  const zero = settings.map("deepspeed")?.["zero_optimization"] as { stage?: unknown } | undefined;
  const stage = Number(zero?.stage ?? /z(?:ero)?_?([0-3])/i.exec(settings.text("deepspeed"))?.[1] ?? 0);
  return stage === 1 || stage === 2 || stage === 3 ? stage : 0;
}
