import { activationBytes, backwardBytes, logitBytes } from "./activations.ts";
import { baseBytes, blockShare, type Memory, momentOf, stateBytes } from "./memory-terms.ts";
import type { ModelShape } from "./model-config.ts";
import { parametersOf } from "./parameters.ts";
import { fixedBytesOf, shardedMemory } from "./sharded.ts";
import type { Training } from "./training.ts";

/** More of a card than that is close to the error of the estimate. */
export const tightShare = 0.95;

/**
 * Memory of one card at its peak: the largest of three moments. At the loss the layers' activations and the logits are there;
 * in the backward pass one layer's activations, recomputed with checkpointing, and gradients; at the optimizer's step all gradients and
 * what the optimizer needs for its largest parameter. Rows are as long as the cutoff. docs/estimates.md derives every term.
 */
export function memoryOf(shape: ModelShape, training: Training): Memory {
  const { gpus, zero, trained, trainedBytes, optimizer: kind } = training;
  if (zero > 0) return shardedMemory(shape, training);
  const weights = baseBytes(shape, training) + ownBytes(training);
  // Several cards without DeepSpeed sum gradients up in buckets, which are a second copy (DDP).
  const copies = gpus > 1 ? 2 : 1;
  const gradients = copies * trained * trainedBytes * (kind === "block" ? blockShare(shape) : 1);
  const optimizer = stateBytes(shape, training);
  const { saved, kept } = activationBytes(shape, training);
  const logits = logitBytes(shape, training);
  const backward = backwardBytes(shape, training);
  // An adapter's gradients are small and count in the whole backward pass; a full one's grow while activations shrink.
  const early = trained < parametersOf(shape).total / 2 ? gradients : 0;
  const moments = {
    loss: { gradients: 0, activations: saved, logits },
    backward:
      saved + early > gradients
        ? { gradients: early, activations: saved + backward, logits: 0 }
        : { gradients, activations: kept + backward, logits: 0 },
    step: { gradients, activations: stepBytes(shape, training), logits: 0 },
  };
  return momentOf({ weights, optimizer, fixed: fixedBytesOf(training) }, moments);
}

/** What trained parameters add to that: LLaMA-Factory makes them fp32 unless pure_bf16 or BAdam; an adapter's own come on top. */
function ownBytes({ method, trained, trainedBytes }: Training): number {
  return method === "full" || method === "freeze" ? trained * (trainedBytes - 2) : trained * trainedBytes;
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
