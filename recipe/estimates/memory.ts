import { activationBytes, backwardBytes, logitBytes } from "./activations.ts";
import type { ModelShape } from "./model-config.ts";
import { parametersOf } from "./parameters.ts";
import type { OptimizerKind, Training } from "./training.ts";

/** What one card holds when it holds most, by what it is for. Bytes. */
export interface Memory {
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
  /** What the layers keep for the backward pass. */
  readonly activations: number;
  readonly logits: number;
  /** What the driver and the libraries hold. */
  readonly fixed: number;
  readonly total: number;
  /** The moment of the peak: at the loss, in a layer's backward pass, or when the optimizer steps. */
  readonly peak: "loss" | "backward" | "step";
}

/** More of a card than that is close to the error of the estimate. */
export const tightShare = 0.95;

/** CUDA context and libraries, outside PyTorch's allocator (0.80e9 measured), and cuBLAS' workspaces inside (0.07e9). */
const fixedBytes = 0.87e9;

/**
 * Memory of one card at its peak: the largest of three moments. At the loss the layers' activations and the logits are there;
 * in the backward pass one layer's activations, recomputed with checkpointing, and gradients; at the optimizer's step all gradients and
 * what the optimizer needs for its largest parameter. Rows are as long as the cutoff. docs/estimates.md derives every term.
 */
export function memoryOf(shape: ModelShape, training: Training): Memory {
  const { gpus, zero, trained, trainedBytes, optimizer: kind } = training;
  const shard = (stage: number): number => (zero >= stage ? gpus : 1);
  const weights = weightBytes(shape, training) / shard(3);
  const gradients = (trained * trainedBytes * (kind === "block" ? blockShare(shape) : 1)) / shard(2);
  const optimizer = optimizerBytes(shape, training) / shard(1);
  const { saved, kept } = activationBytes(shape, training);
  const logits = logitBytes(shape, training);
  const backward = backwardBytes(shape, training);
  // An adapter's gradients are small and count in the whole backward pass; a full one's grow while activations shrink.
  const early = trained < parametersOf(shape).total / 2 ? gradients : 0;
  const held = weights + optimizer + fixedBytes;
  const moments = {
    loss: { gradients: 0, activations: saved, logits },
    backward:
      saved + early > gradients
        ? { gradients: early, activations: saved + backward, logits: 0 }
        : { gradients, activations: kept + backward, logits: 0 },
    step: { gradients, activations: stepBytes(shape, training) / shard(2), logits: 0 },
  };
  const size = (name: keyof typeof moments): number => sum(Object.values(moments[name]));
  const peak = (["loss", "backward", "step"] as const).reduce((a, b) => (size(b) > size(a) ? b : a));
  return { weights, optimizer, fixed: fixedBytes, ...moments[peak], total: held + size(peak), peak };
}

/**
 * Weights: 2 bytes a parameter; quantized matrices bits/8 bytes and their scales (4 bit, double quantization: 1 byte for 64 elements, 4 for
 * 64*256; 8 bit: 4 for each output, too few to count). LLaMA-Factory makes trained parameters fp32 unless pure_bf16 or BAdam.
 */
function weightBytes(shape: ModelShape, training: Training): number {
  const { total, matrices } = parametersOf(shape);
  const { bits, method, trained, trainedBytes, references } = training;
  const scales = bits === 4 ? matrices * (1 / 64 + 4 / (64 * 256)) : 0;
  const base = bits < 16 ? 2 * (total - matrices) + (matrices * bits) / 8 + scales : 2 * total;
  const own = method === "full" || method === "freeze" ? trained * (trainedBytes - 2) : trained * trainedBytes;
  return base + own + references * 2 * total;
}

/** Bytes an optimizer keeps for one trained parameter of `bytes` bytes. Sources: torch.optim; bitsandbytes' 8 bit states; transformers' Adafactor. */
const statesOf: Readonly<Record<Exclude<OptimizerKind, "low-rank" | "block">, (bytes: number) => number>> = {
  adam: (bytes) => 2 * bytes,
  "adam-8bit": () => 2,
  "one-moment": (bytes) => bytes,
  // A row and a column of each matrix.
  adafactor: () => 0.01,
  sgd: () => 0,
};

function optimizerBytes(shape: ModelShape, training: Training): number {
  const { optimizer, trained, trainedBytes, projection, method } = training;
  if (optimizer === "block") {
    // BAdam: an fp32 copy and two moments of the block in turn.
    return trained * blockShare(shape) * 12;
  }
  if (optimizer === "low-rank") {
    // GaLore, APOLLO: two moments of r for each column instead of each row.
    const { matrices } = parametersOf(shape);
    const share = Math.min(1, projection / shape.hidden);
    const projected = Math.min(trained, matrices);
    return 2 * trainedBytes * (trained - projected + projected * share);
  }
  // transformers keeps the states of embeddings in 32 bits whatever the optimizer's name says.
  const whole = optimizer === "adam-8bit" && method === "full" ? 6 * parametersOf(shape).embeddings : 0;
  return trained * statesOf[optimizer](trainedBytes) + whole;
}

/** BAdam trains one layer at a time. */
function blockShare({ layers }: ModelShape): number {
  return 1 / layers;
}

/**
 * What a step needs beside states and gradients. Adafactor works on fp32 copies of the largest parameter, the embeddings (four of them);
 * tied embeddings get two gradients, which are added.
 */
function stepBytes(shape: ModelShape, { optimizer, method, trainedBytes }: Training): number {
  if (method !== "full") return 0;
  const { embeddings } = parametersOf(shape);
  const adafactor = optimizer === "adafactor" ? 16 * embeddings : 0;
  return Math.max(adafactor, shape.tied ? trainedBytes * embeddings : 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
