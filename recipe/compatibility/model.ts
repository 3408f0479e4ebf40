import type { Rule } from "./rule.ts";

/** What LLaMA-Factory turns from JSON text into a map; a text that does not begin with `{` is a path. */
const jsonArguments = [
  "accelerator_config",
  "fsdp_config",
  "deepspeed",
  "gradient_checkpointing_kwargs",
  "lr_scheduler_kwargs",
  "vllm_config",
  "sglang_config",
];

/** LLaMA-Factory 0.9.5, hparams/model_args.py `__post_init__` and hparams/parser.py `_verify_model_args`. */
export const modelRules: readonly Rule[] = [
  {
    property: "model_name_or_path",
    forbids: (s) => !s.has("model_name_or_path"),
    message: "is required.",
    next: "Say the model under `tuneup:model`.",
  },
  ...["image", "video"].map((kind): Rule => ({
    property: `${kind}_max_pixels`,
    forbids: (s) => s.number(`${kind}_max_pixels`) < s.number(`${kind}_min_pixels`),
    message: (s) =>
      `is ${s.number(`${kind}_max_pixels`)}, less than ${kind}_min_pixels, ${s.number(`${kind}_min_pixels`)}.`,
    next: "Raise it, or lower the other.",
  })),
  {
    property: "export_quantization_dataset",
    forbids: (s) => s.has("export_quantization_bit") && !s.has("export_quantization_dataset"),
    message: "is required with export_quantization_bit.",
    next: "Remove export_quantization_bit: tuneup trains and serves, and does not export.",
  },
  ...jsonArguments.map((property): Rule => ({
    property,
    forbids: (s) => s.text(property).startsWith("{") && s.map(property) === undefined,
    message: "begins with { and is not valid JSON.",
    next: "Write it as a YAML map.",
  })),
  {
    property: "adapter_name_or_path",
    forbids: (s) => s.has("adapter_name_or_path") && !s.is("finetuning_type", "lora"),
    message: (s) =>
      `goes on from an adapter, which works with finetuning_type lora alone; it is ${s.text("finetuning_type")}.`,
    next: "Remove `tuneup:model.adapter`, or set `train.finetuning_type: lora`.",
  },
  {
    property: "quantization_bit",
    forbids: (s) => s.has("quantization_bit") && !s.is("finetuning_type", "lora", "oft"),
    message: (s) => `works with finetuning_type lora or oft, and it is ${s.text("finetuning_type")}.`,
    next: "Set `train.finetuning_type: lora`, or remove it.",
  },
  {
    property: "pissa_init",
    forbids: (s) => s.has("quantization_bit") && s.on("pissa_init"),
    message: "does not work with quantization_bit.",
    next: "Remove one of the two.",
  },
  {
    property: "resize_vocab",
    forbids: (s) => s.has("quantization_bit") && s.on("resize_vocab"),
    message: "does not work with quantization_bit: embeddings of a quantized model can't be resized.",
    next: "Remove one of the two.",
  },
  {
    property: "create_new_adapter",
    forbids: (s) => s.has("quantization_bit") && s.has("adapter_name_or_path") && s.on("create_new_adapter"),
    message:
      "does not work with quantization_bit and an adapter to go on from: it would be merged into quantized weights.",
    next: "Remove it: training goes on in the same adapter.",
  },
  {
    property: "quantization_bit",
    forbids: (s) => s.has("quantization_bit") && s.list("adapter_name_or_path").length > 1,
    message: "works with one adapter to go on from, and there are several.",
    next: "Merge them first.",
  },
  {
    property: "quantization_device_map",
    forbids: (s) => s.on("do_train") && s.is("quantization_device_map", "auto"),
    message: "auto is for inference.",
    next: "Remove it.",
  },
  {
    property: "fp8",
    forbids: (s) => s.on("fp8") && s.has("quantization_bit"),
    message: "does not work with quantization_bit.",
    next: "Remove one of the two.",
  },
  {
    property: "infer_backend",
    forbids: (s) => !s.is("infer_backend", "huggingface"),
    message: (s) => `must be huggingface in training, got ${s.text("infer_backend")}.`,
    next: "Say the serving engine under `tuneup:serve.engine`.",
  },
];
