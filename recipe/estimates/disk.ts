import type { TrainArguments } from "../arguments.ts";
import { Settings } from "../compatibility/settings.ts";
import { engineFacts, type OwnEngine } from "../engines.ts";
import { type Variant, variantFacts } from "../variants.ts";
import type { ModelShape } from "./model-config.ts";
import { parametersOf } from "./parameters.ts";
import type { Training } from "./training.ts";

/** Disk that a new environment takes (measured: 5.1 GB from the package index; less from PyTorch's CPU index). */
export const environmentBytes = 5.6e9;

/** What lies in the data directory at its fullest. Bytes. */
export interface Disk {
  readonly environment: number;
  /** An engine's own environment beside that; 0 where none is needed. */
  readonly engine: number;
  readonly weights: number;
  /** save_total_limit of them and the one that is being written; weights, optimizer states and all. */
  readonly checkpoints: number;
  /** What the run leaves: adapter or weights. */
  readonly artifact: number;
  /** Tokenized rows. */
  readonly cache: number;
  /** What an export would add: the adapter merged into a copy of the model. Counted where `train.export_dir` asks for it. */
  readonly merged: number;
  readonly total: number;
}

/** What the estimate of disk needs to know beside model and training. */
export interface DiskQuestion {
  readonly train: TrainArguments;
  readonly variants: readonly Variant[];
  /** An engine with an environment of its own. Default: none. */
  readonly engine?: OwnEngine | undefined;
  /** Optimizer steps of the run; undefined where nobody knows yet. */
  readonly steps: number | undefined;
  /** Tokens of the data, once. */
  readonly tokens: number;
}

/** A tokenized row in the cache of Hugging Face datasets: int32 ids, int8 mask, int64 labels. */
const cacheBytesPerToken = 13;

/** DeepSpeed's own files of a checkpoint, for each trained parameter: 2 again in its weights, 4 in the optimizer's copy (16.6 in all measured with Adam). */
const deepspeedBytes = 6;

/**
 * Weights as published (2 bytes a parameter), the environment with its variants, checkpoints, artifact, cache. A checkpoint holds the
 * trained parameters and, unless save_only_model, the optimizer's two moments, 4 bytes each (pure_bf16: 2).
 */
export function diskOf(shape: ModelShape, training: Training, question: DiskQuestion): Disk {
  const settings = new Settings(question.train);
  const { total: parameters } = parametersOf(shape);
  const { trained, method, optimizer, zero } = training;
  // DeepSpeed saves weights in 16 bits.
  const trainedBytes = zero > 0 ? 2 : training.trainedBytes;
  const adapter = method === "lora" || method === "oft";
  // Freeze saves the whole model as well: the trained layers are fp32 in it.
  const artifact = adapter ? trained * trainedBytes : 2 * parameters + trained * (trainedBytes - 2);
  const each = zero > 0 ? 4 : trainedBytes;
  const moments = optimizer === "adam" ? 2 * each : optimizer === "adam-8bit" ? 2 : each;
  const states = settings.on("save_only_model") ? 0 : trained * (moments + (zero > 0 ? deepspeedBytes : 0));
  const weights = 2 * parameters;
  const environment = environmentBytes + question.variants.reduce((sum, name) => sum + variantFacts[name].bytes, 0);
  const engine = question.engine === undefined ? 0 : engineFacts[question.engine].bytes;
  const checkpoints = checkpointCount(settings, question.steps) * (artifact + states);
  const cache = cacheBytesPerToken * question.tokens;
  const merged = adapter ? weights : 0;
  const kept = environment + engine + weights + checkpoints + artifact + cache;
  const total = kept + (settings.has("export_dir") ? merged : 0);
  return { environment, engine, weights, checkpoints, artifact, cache, merged, total };
}

/** Two are kept unless said (tuneup's default); a new one is there before the oldest goes. */
function checkpointCount(settings: Settings, steps: number | undefined): number {
  if (settings.is("save_strategy", "no")) return 1;
  const every = settings.number("save_steps") || 500;
  const written = steps === undefined ? Infinity : Math.ceil(steps / Math.max(every, 1));
  const limit = settings.has("save_total_limit") ? settings.number("save_total_limit") : 2;
  return Math.min(written, limit + 1);
}
