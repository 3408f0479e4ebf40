import { activationBytes, backwardBytes, logitBytes } from "./activations.ts";
import { baseBytes, fixedBytes, type Memory, momentOf, stateBytes } from "./memory-terms.ts";
import type { ModelShape } from "./model-config.ts";
import { parametersOf } from "./parameters.ts";
import type { Training } from "./training.ts";

/** NCCL's buffers on one card, and what DeepSpeed adds (1.69e9 and 2.20e9 measured with the driver's 0.80e9, on two and on four cards). */
const ncclBytes = 0.89e9;
const deepspeedBytes = 1.4e9;

/** What the driver and the libraries hold on one of several cards. */
export function fixedBytesOf({ gpus, zero }: Pick<Training, "gpus" | "zero">): number {
  if (gpus === 1) return fixedBytes;
  return fixedBytes + (zero > 0 ? deepspeedBytes : ncclBytes);
}

/** stage3_max_live_parameters and sub_group_size of LLaMA-Factory's ds_z3_config.json: parameters. */
const liveParameters = 1e9;
const groupParameters = 1e9;

/**
 * Memory of one card with DeepSpeed's ZeRO, which keeps weights in 16 bits and a copy of what is trained in 32 for the optimizer. For each of t
 * trained parameters on n cards: states and copy 12 / n with Adam. Stage 2: its gradient in 16 bits and the last step's 4 / n, at the step one in 32
 * bits 4 / n. Stage 3: weights 2 / n, gradient 2 / n; beside it the 1e9 parameters that are gathered at a time, and 32-bit gradients of
 * 1e9 of its own. Measured on two and on four cards (docs/estimates.md); stage 1, with whole gradients, is by the formula alone.
 */
export function shardedMemory(shape: ModelShape, training: Training): Memory {
  const { gpus, zero, trained, method } = training;
  const { total } = parametersOf(shape);
  const isAdapter = method === "lora" || method === "oft";
  const gathered = zero === 3 ? 2 * Math.min(liveParameters, total) : 0;
  const all = baseBytes(shape, training) + (isAdapter ? 2 * trained : 0);
  const weights = all / (zero === 3 ? gpus : 1) + gathered;
  const optimizer = (4 * trained + stateBytes(shape, { ...training, trainedBytes: 4 })) / gpus;
  const ownGradients = (2 * trained) / (zero === 1 ? 1 : gpus);
  const kept = (2 * trained) / gpus;
  const { saved, kept: boundaries } = activationBytes(shape, training);
  const backward = backwardBytes(shape, training);
  const copied = zero === 3 ? 4 * Math.min(groupParameters, trained / gpus) : ownGradients + (4 * trained) / gpus;
  const moments = {
    loss: { gradients: kept, activations: saved, logits: logitBytes(shape, training) },
    backward: {
      gradients: kept + (zero === 3 ? 0 : ownGradients),
      activations: (isAdapter ? saved : boundaries) + backward,
      logits: 0,
    },
    step: { gradients: kept + copied, activations: 0, logits: 0 },
  };
  return momentOf({ weights, optimizer, fixed: fixedBytesOf(training) }, moments);
}
