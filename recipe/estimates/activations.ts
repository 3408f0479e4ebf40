import type { ModelShape } from "./model-config.ts";
import { type Matrix, matricesOf, targeted } from "./parameters.ts";
import type { Training } from "./training.ts";

/**
 * Bytes that one layer keeps for one token, as multiples of the widths of its parts. Which tensors autograd keeps follows from the modeling
 * files; the multiples were fitted to peaks measured on one H200 (measured.json), since kernels, autocast and peft add copies of their own.
 */
interface Keeps {
  /** Of the hidden width: norms, the residual, inputs of q, k, v, gate and up. */
  readonly hidden: number;
  /** Of the queries' width: queries, attention's output, input of o. */
  readonly queries: number;
  /** Of the feed-forward width: gate, up, the activation, their product, input of down. */
  readonly intermediate: number;
}

/** Liger's norm and SwiGLU keep their inputs and compute the rest again. */
function keepsOf({ liger, bits, method }: Training): Keeps {
  const intermediate = liger ? 6 : 8;
  // LoRA's own inputs are copies under autocast; bitsandbytes' 4 bit matrices share one.
  if (method === "lora" || method === "oft") {
    if (bits <= 4) return { hidden: liger ? 7 : 10, queries: liger ? 6.6 : 7, intermediate };
    return { hidden: liger ? 13.3 : 15.5, queries: 9, intermediate };
  }
  return { hidden: liger ? 9 : 12, queries: 9, intermediate };
}

/** Tokens of one micro-step, all rows as long as the cutoff. */
export function tokensOf({ batch, cutoff, rowsEach }: Training): number {
  return batch * cutoff * rowsEach;
}

function perLayer(shape: ModelShape, training: Training): number {
  const { hidden, queries, keys, headNorms } = shape;
  const keeps = keepsOf(training);
  const { method, rank, dora, targets } = training;
  const feedForward = feedForwardWidth(shape);
  // Rows of different lengths need a mask, and with a mask keys and values are repeated for every query head.
  const repeated = training.batch > 1 ? 4 * (queries - keys) : 0;
  const norms = headNorms ? (training.liger ? 2 : 6) * (queries + keys) : 0;
  const adapters = method === "lora" ? targeted(shape, targets) : [];
  const outputs = sum(adapters.map(({ output, times }) => (output * times) / shape.layers));
  const modules = sum(adapters.map(({ times }) => times / shape.layers));
  // Of rank r: A's output, its product with the scaling, both as autocast and autograd keep them. DoRA keeps the outputs twice.
  const lora = adapters.length === 0 ? 0 : 20 * Math.max(0, rank - 8) * Math.min(modules, 7) + (dora ? 4 * outputs : 0);
  // Each adapter keeps a copy of its input; the multiples are those of adapters everywhere.
  const inputs = (list: readonly Matrix[]): number =>
    sum(
      list.map(({ name, input, times }) =>
        name === "down_proj" ? feedForward : input * Math.min(1, times / shape.layers),
      ),
    );
  const spared = method === "lora" && training.bits > 4 ? 2 * (inputs(matricesOf(shape)) - inputs(adapters)) : 0;
  return (
    keeps.hidden * hidden +
    keeps.queries * queries +
    keeps.intermediate * feedForward +
    repeated +
    norms +
    lora -
    spared
  );
}

/** Width of the feed-forward part that a token goes through. */
function feedForwardWidth({ intermediate, experts }: ModelShape): number {
  return experts === undefined ? intermediate : experts.used * experts.intermediate + experts.shared;
}

/** What all layers keep until the backward pass (`saved`), and what is left of it at its end (`kept`). */
export function activationBytes(
  shape: ModelShape,
  training: Training,
): { readonly saved: number; readonly kept: number } {
  const tokens = tokensOf(training);
  const boundary = 2 * shape.hidden * tokens;
  const { depth, checkpointing, method, trainedBytes, trained } = training;
  if (checkpointing) return { saved: boundary * depth, kept: boundary };
  // Autocast keeps a bf16 copy of every fp32 weight until the backward pass.
  const copies = trainedBytes === 4 && (method === "full" || method === "freeze") ? 2 * trained : 0;
  return { saved: perLayer(shape, training) * depth * tokens + copies, kept: boundary };
}

/**
 * What the backward pass of one layer needs beside what is saved: the layer's activations again with checkpointing, and the gradients of its
 * parts, about as much as the feed-forward part keeps.
 */
export function backwardBytes(shape: ModelShape, training: Training): number {
  const tokens = tokensOf(training);
  const recomputed = training.checkpointing ? perLayer(shape, training) : 0;
  const gradients = 6 * feedForwardWidth(shape) + (training.bits <= 4 ? 0 : 8.7 * shape.hidden);
  return (recomputed + gradients) * tokens;
}

/**
 * Logits: 12 bytes for each token and word of the vocabulary. The head gives bf16 (2), the loss makes fp32 of them (4), log_softmax keeps its
 * result (4), the gradient adds a bf16 copy (2). Liger's fused loss goes through them in chunks of about tokens*h/V and keeps only those.
 * Source: `ForCausalLMLoss` of transformers 5.5.4; Liger's `LigerFusedLinearCrossEntropyFunction`.
 */
export function logitBytes({ hidden, vocabulary }: ModelShape, training: Training): number {
  const tokens = tokensOf(training);
  if (!training.liger) return 12 * vocabulary * tokens;
  const chunk = 2 ** Math.ceil(Math.log2(Math.max(1, (tokens * hidden) / vocabulary)));
  return Math.min(chunk, tokens) * vocabulary * 6 + 2 * hidden * tokens;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
