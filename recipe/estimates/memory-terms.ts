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

/** CUDA context and libraries, outside PyTorch's allocator (0.80e9 measured), and cuBLAS' workspaces inside (0.07e9). One card. */
export const fixedBytes = 0.87e9;

type Moment = Pick<Memory, "gradients" | "activations" | "logits">;

/** The memory of the moment that needs most. `held`: what is there all the time. */
export function momentOf(
  held: Pick<Memory, "weights" | "optimizer" | "fixed">,
  moments: Readonly<Record<Memory["peak"], Moment>>,
): Memory {
  const size = (name: Memory["peak"]): number => sum(Object.values(moments[name]));
  const peak = (["loss", "backward", "step"] as const).reduce((a, b) => (size(b) > size(a) ? b : a));
  return { ...held, ...moments[peak], total: sum(Object.values(held)) + size(peak), peak };
}

/**
 * Weights of the model: 2 bytes a parameter; quantized matrices bits/8 bytes and their scales (4 bit, double quantization: 1 byte for 64 elements,
 * 4 for 64*256; 8 bit: 4 for each output, too few to count). With the models beside it that a method compares with.
 */
export function baseBytes(shape: ModelShape, { bits, references }: Training): number {
  const { total, matrices } = parametersOf(shape);
  const scales = bits === 4 ? matrices * (1 / 64 + 4 / (64 * 256)) : 0;
  const base = bits < 16 ? 2 * (total - matrices) + (matrices * bits) / 8 + scales : 2 * total;
  return base + references * 2 * total;
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

/** What an optimizer keeps. */
export function stateBytes(shape: ModelShape, training: Training): number {
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
export function blockShare({ layers }: ModelShape): number {
  return 1 / layers;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
