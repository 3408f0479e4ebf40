import type { Rule } from "./rule.ts";

const fsdpOptions = [
  "full_shard",
  "shard_grad_op",
  "no_shard",
  "hybrid_shard",
  "hybrid_shard_zero2",
  "offload",
  "auto_wrap",
];
const acceleratorKeys = [
  "split_batches",
  "dispatch_batches",
  "even_batches",
  "use_seedable_sampler",
  "non_blocking",
  "gradient_accumulation_kwargs",
  "use_configured_state",
];

const notWithZero3 = (property: string): Rule => ({
  property,
  forbids: (s) => s.on(property) && s.zero3,
  message: "does not work with DeepSpeed ZeRO stage 3.",
  next: "Take ZeRO stage 2 in `train.deepspeed`, or remove it.",
});

const notLayerwise = (method: string): Rule => ({
  property: `${method}_layerwise`,
  forbids: (s, { distributed = false }) => distributed && s.on(`use_${method}`) && s.on(`${method}_layerwise`),
  message: "does not work on several GPUs.",
  next: "Remove it, or train on one GPU.",
});

/** FSDP's options: a text is split at spaces, as transformers does. */
function fsdp(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? value.split(/\s+/).filter(Boolean) : [];
}

/** Precision and what a device can: transformers' training_args.py and LLaMA-Factory's hparams/parser.py. */
export const precisionRules: readonly Rule[] = [
  {
    property: "fp16",
    forbids: (s) => s.on("fp16") && s.on("bf16"),
    message: "and bf16 exclude each other.",
    next: "Keep bf16 on Ampere and newer cards, fp16 on older ones.",
  },
  {
    property: "fp16_full_eval",
    forbids: (s) => s.on("fp16_full_eval") && s.on("bf16_full_eval"),
    message: "and bf16_full_eval exclude each other.",
    next: "Keep one of the two.",
  },
  ...["bf16", "bf16_full_eval"].map((property): Rule => ({
    property,
    forbids: (s, { device }) => device === "cpu" && s.on(property) && !s.on("use_cpu"),
    message: "on a CPU needs use_cpu: true.",
    next: "Set it to false: on a CPU it gains nothing.",
  })),
  {
    property: "pure_bf16",
    forbids: (s, { device }) => device === "cpu" && s.on("pure_bf16"),
    message: "needs a GPU that can do bf16.",
    next: "Remove it.",
  },
  {
    property: "tf32",
    forbids: (s, { device }) => device === "cpu" && s.on("tf32"),
    message: "needs an Ampere or newer GPU.",
    next: "Remove it.",
  },
];

/** Several GPUs, DeepSpeed and FSDP: transformers' training_args.py and LLaMA-Factory's hparams/parser.py. */
export const distributionRules: readonly Rule[] = [
  {
    property: "deepspeed",
    forbids: (s, { distributed = false }) => s.on("deepspeed") && !distributed,
    message: "needs a start by torchrun, and this training is one process on one device.",
    next: "Remove it: on one GPU, QLoRA (`train.quantization_bit: 4`) or `train.pure_bf16` saves more memory.",
  },
  {
    property: "compute.gpus",
    forbids: (s, { device, gpus, distributed = false }) =>
      device === "cuda" && gpus > 1 && !distributed && !s.on("use_cpu") && !s.on("use_kt"),
    message: "several GPUs in one process are not supported by LLaMA-Factory.",
    next: "Start one process a GPU, or show it one GPU.",
  },
  ...["predict_with_generate", "pissa_init", "pure_bf16", "use_unsloth", "use_kt"].map(notWithZero3),
  ...["galore", "apollo"].flatMap((method): Rule[] => [
    notLayerwise(method),
    {
      property: `use_${method}`,
      forbids: (s) => s.has("deepspeed") && s.on(`use_${method}`),
      message: "does not work with DeepSpeed.",
      next: "Remove one of the two.",
    },
  ]),
  {
    property: "badam_mode",
    forbids: (s, { distributed = false }) => distributed && s.on("use_badam") && s.is("badam_mode", "ratio"),
    message: "ratio does not work on several GPUs.",
    next: "Set `train.badam_mode: layer` with ZeRO stage 3, or train on one GPU.",
  },
  {
    property: "badam_mode",
    forbids: (s, { distributed = false }) =>
      distributed && s.on("use_badam") && !s.is("badam_mode", "ratio") && !s.zero3,
    message: "layer on several GPUs needs DeepSpeed ZeRO stage 3.",
    next: "Add such a `train.deepspeed`, or train on one GPU.",
  },
  {
    property: "fsdp",
    forbids: (s) =>
      typeof s.value("fsdp") === "string" && fsdp(s.value("fsdp")).some((name) => !fsdpOptions.includes(name)),
    message: (s) => `must be words of ${fsdpOptions.join(", ")}; got ${JSON.stringify(s.value("fsdp"))}.`,
    next: 'Write for example "full_shard auto_wrap".',
  },
  {
    property: "fsdp",
    forbids: (s) => fsdp(s.value("fsdp")).join() === "offload",
    message: "offload does not work on its own.",
    next: 'Write "full_shard offload" or "shard_grad_op offload".',
  },
  {
    property: "fsdp",
    forbids: (s) => ["full_shard", "shard_grad_op"].every((name) => fsdp(s.value("fsdp")).includes(name)),
    message: "full_shard and shard_grad_op exclude each other.",
    next: "Keep one of the two.",
  },
  {
    property: "fsdp_config",
    forbids: (s) => {
      const { min_num_params: least = s.map("fsdp_config")?.["fsdp_min_num_params"] } = s.map("fsdp_config") ?? {};
      const wrapped = ["", "fsdp_"].some(
        (prefix) => s.map("fsdp_config")?.[`${prefix}transformer_layer_cls_to_wrap`] != null,
      );
      return fsdp(s.value("fsdp")).length > 0 && Number(least) > 0 && wrapped;
    },
    message: "says min_num_params and transformer_layer_cls_to_wrap, which exclude each other.",
    next: "Keep one of the two.",
  },
];

/** The rest of what transformers' training_args.py refuses. */
export const loadingRules: readonly Rule[] = [
  {
    property: "dataloader_prefetch_factor",
    forbids: (s) => s.number("dataloader_num_workers") === 0 && s.has("dataloader_prefetch_factor"),
    message: "needs dataloader_num_workers above 0.",
    next: "Set `train.dataloader_num_workers`, or remove it.",
  },
  {
    property: "accelerator_config",
    forbids: (s) => Object.keys(s.map("accelerator_config") ?? {}).some((key) => !acceleratorKeys.includes(key)),
    message: `takes ${acceleratorKeys.join(", ")} and nothing else.`,
    next: "Remove the other keys.",
  },
  {
    property: "accelerator_config",
    forbids: (s) => s.map("accelerator_config")?.["use_configured_state"] === true,
    message: "use_configured_state needs an accelerator that a program made before.",
    next: "Remove it.",
  },
  {
    property: "debug",
    forbids: (s) =>
      typeof s.value("debug") === "string" &&
      s
        .text("debug")
        .split(/\s+/)
        .some((word) => !["", "underflow_overflow", "tpu_metrics_debug"].includes(word)),
    message: (s) => `must be underflow_overflow or tpu_metrics_debug, got ${JSON.stringify(s.text("debug"))}.`,
    next: "Remove it.",
  },
];
