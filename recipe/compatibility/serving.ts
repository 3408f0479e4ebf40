import type { Rule } from "./rule.ts";

/** The largest room for adapters that vLLM makes (`--max-lora-rank`). */
const mostVllmRank = 512;

const notWithVllm = (property: string, why: string): Rule => ({
  property,
  forbids: (s) => s.on(property),
  message: `does not work with serve.engine vllm: ${why}.`,
  next: "Set `tuneup:serve.engine: huggingface`, or remove it.",
});

/** What no engine can serve. */
export const servingRules: readonly Rule[] = [
  {
    property: "stage",
    forbids: (s) => s.is("stage", "rm"),
    message: "rm makes a reward model, which gives scores and no answers to chat with.",
    next: "Set `tuneup:serve.enabled: false`.",
  },
];

/** What the engine vLLM can't serve: LLaMA-Factory 0.9.5, hparams/parser.py `get_infer_args`, and vLLM's own limits of adapters. */
export const vllmRules: readonly Rule[] = [
  notWithVllm("quantization_bit", "it takes GPTQ and AWQ models, not bitsandbytes"),
  notWithVllm("rope_scaling", "it reads the scaling from the model's config alone"),
  notWithVllm("use_dora", "its adapters are plain LoRA"),
  notWithVllm("additional_target", "its adapters hold no other modules"),
  notWithVllm("resize_vocab", "its adapters hold no embeddings"),
  notWithVllm("pissa_init", "it changes the model under the adapter, and vLLM serves the untouched one"),
  {
    property: "finetuning_type",
    forbids: (s) => s.is("finetuning_type", "oft"),
    message: "oft does not work with serve.engine vllm: its adapters are plain LoRA.",
    next: "Set `tuneup:serve.engine: huggingface`.",
  },
  {
    property: "lora_rank",
    forbids: (s) => s.is("finetuning_type", "lora") && s.number("lora_rank") > mostVllmRank,
    message: (s) => `is ${s.number("lora_rank")}, and vLLM serves ranks up to ${mostVllmRank}.`,
    next: `Set \`train.lora_rank\` to ${mostVllmRank} or less.`,
  },
];
