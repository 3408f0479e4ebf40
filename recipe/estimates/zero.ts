import type { TrainArguments } from "../arguments.ts";
import { trainingFaults } from "../compatibility/experiment.ts";
import type { Experiment } from "../experiment.ts";
import { processesOf } from "../target.ts";
import { bundledShape } from "./bundled.ts";
import { cardOf } from "./cards.ts";
import { memoryOf, tightShare } from "./memory.ts";
import { trainingOf } from "./training.ts";

/** What both stages say in LLaMA-Factory 0.9.5's examples/deepspeed: `auto` is filled in from the training arguments. */
const always = {
  train_batch_size: "auto",
  train_micro_batch_size_per_gpu: "auto",
  gradient_accumulation_steps: "auto",
  gradient_clipping: "auto",
  zero_allow_untested_optimizer: true,
  fp16: {
    enabled: "auto",
    loss_scale: 0,
    loss_scale_window: 1000,
    initial_scale_power: 16,
    hysteresis: 2,
    min_loss_scale: 1,
  },
  bf16: { enabled: "auto" },
};

const stages = {
  2: {
    stage: 2,
    allgather_partitions: true,
    allgather_bucket_size: 5e8,
    overlap_comm: false,
    reduce_scatter: true,
    reduce_bucket_size: 5e8,
    contiguous_gradients: true,
    round_robin_gradients: true,
  },
  3: {
    stage: 3,
    overlap_comm: false,
    contiguous_gradients: true,
    sub_group_size: 1e9,
    reduce_bucket_size: "auto",
    stage3_prefetch_bucket_size: "auto",
    stage3_param_persistence_threshold: "auto",
    stage3_max_live_parameters: 1e9,
    stage3_max_reuse_distance: 1e9,
    stage3_gather_16bit_weights_on_model_save: true,
  },
} as const;

/** DeepSpeed's config of a ZeRO stage, as LLaMA-Factory's ds_z2_config.json and ds_z3_config.json have it. */
export function zeroConfig(stage: 2 | 3): Readonly<Record<string, unknown>> {
  return { ...always, zero_optimization: stages[stage] };
}

/**
 * The experiment with the ZeRO stage that its memory asks for, where several cards train it: none if the training fits into each, else 2, else 3,
 * by the estimate (docs/estimates.md). It stays as it is where `train.deepspeed` or `train.fsdp` says something (`deepspeed: ""` is a no), where
 * model or card are not known from the file (`compute.gpu`, `compute.gpuMemoryGiB`), and where no stage fits or goes with the method.
 */
export function withZeroStage(experiment: Experiment): Experiment {
  const { train, compute, model } = experiment;
  const cards = processesOf(experiment);
  if (cards === undefined || compute.device === "cpu" || "deepspeed" in train || "fsdp" in train) return experiment;
  const memoryGiB = compute.gpuMemoryGiB ?? (compute.gpu === undefined ? undefined : cardOf(compute.gpu)?.memoryGiB);
  const shape = bundledShape(model.id);
  if (memoryGiB === undefined || shape === undefined) return experiment;
  const gpus = cards.nodes * cards.perNode;
  const limit = tightShare * memoryGiB * 2 ** 30;
  const fits = (tried: TrainArguments): boolean => memoryOf(shape, trainingOf(tried, shape, gpus)).total <= limit;
  if (fits(train)) return experiment;
  const takes = (tried: TrainArguments): boolean =>
    trainingFaults({ ...experiment, train: tried }, { device: "cuda", gpus, distributed: true }).length === 0;
  const tries = ([2, 3] as const).map((stage) => ({ ...train, deepspeed: zeroConfig(stage) }));
  const found = tries.find((tried) => fits(tried) && takes(tried));
  return found === undefined ? experiment : { ...experiment, train: found };
}
