import { z } from "zod";
import type { FaultFacts } from "../fault.ts";

/** What of a model's config.json decides its size. Names as in Qwen2, Qwen3, their MoE variants and Llama. */
const modelConfig = z.looseObject({
  model_type: z.string(),
  hidden_size: z.int().positive(),
  intermediate_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  num_key_value_heads: z.int().positive().optional(),
  vocab_size: z.int().positive(),
  max_position_embeddings: z.int().positive().optional(),
  head_dim: z.int().positive().nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  num_experts: z.int().positive().optional(),
  num_experts_per_tok: z.int().positive().optional(),
  moe_intermediate_size: z.int().positive().optional(),
  shared_expert_intermediate_size: z.int().min(0).default(0),
  decoder_sparse_step: z.int().positive().default(1),
  mlp_only_layers: z.array(z.int()).default([]),
});

/** The shape of a text model: all that its number of parameters and its memory follow from. */
export interface ModelShape {
  readonly type: string;
  readonly hidden: number;
  readonly layers: number;
  readonly vocabulary: number;
  /** Positions that it was made for; undefined where config.json does not say. */
  readonly positions: number | undefined;
  /** Width of all query heads together, and of all key heads. */
  readonly queries: number;
  readonly keys: number;
  readonly headWidth: number;
  readonly tied: boolean;
  /** Biases of q, k and v; of the attention's output; of the feed-forward part. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
  /** Qwen3 normalizes each head's queries and keys. */
  readonly headNorms: boolean;
  /** Width of the feed-forward part of a dense layer. */
  readonly intermediate: number;
  /** Of a mixture of experts: undefined for a dense model. */
  readonly experts: Experts | undefined;
}

/** The feed-forward part of a sparse layer. */
export interface Experts {
  readonly count: number;
  readonly used: number;
  readonly intermediate: number;
  /** Width of the expert that every token goes through (Qwen2-MoE); 0: none. */
  readonly shared: number;
  /** How many of the layers are sparse. */
  readonly layers: number;
}

/** A shape, or why there is none. */
export type ShapeResult =
  { readonly shape: ModelShape; readonly fault?: never } | { readonly shape?: never; readonly fault: FaultFacts };

const known = ["qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "llama"] as const;

/** `model_type` of models that see, hear or speak; ours are text models. */
const senses = /vl|vision|audio|omni|mllama|llava/i;

/** Reads the shape from a model's config.json, already parsed. */
export function readModelConfig(config: unknown): ShapeResult {
  const type = typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  if (typeof type !== "string") return refused("model-config", "config.json does not say its model_type.");
  if (senses.test(type)) {
    const next = "Take the text model of the same size, such as Qwen/Qwen2.5-7B-Instruct.";
    return refused("model-not-text", `config.json says model_type ${type}: not a text model.`, next);
  }
  if (!known.some((name) => name === type)) {
    const next = "Take a model of Qwen2, Qwen2.5, Qwen3 or Llama.";
    const message = `has the model_type ${type}, for which there is no estimate; known are ${known.join(", ")}.`;
    return refused("model-type-unknown", message, next);
  }
  const parsed = modelConfig.safeParse(config);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refused("model-config", `config.json: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is wrong"}.`);
  }
  return { shape: shapeOf(parsed.data) };
}

function refused(code: string, message: string, next?: string): ShapeResult {
  return { fault: { code, property: "model.id", message, ...(next === undefined ? {} : { next }) } };
}

function shapeOf(config: z.output<typeof modelConfig>): ModelShape {
  const { model_type: type, hidden_size: hidden, num_attention_heads: heads, num_hidden_layers: layers } = config;
  const headWidth = config.head_dim ?? hidden / heads;
  const qwen2 = type.startsWith("qwen2");
  return {
    ...{ type, hidden, layers, headWidth, vocabulary: config.vocab_size, positions: config.max_position_embeddings },
    queries: heads * headWidth,
    keys: (config.num_key_value_heads ?? heads) * headWidth,
    tied: config.tie_word_embeddings,
    // Qwen2 has biases at q, k and v and says so nowhere; Llama's attention_bias is for all four.
    biases: {
      qkv: qwen2 || config.attention_bias,
      output: !qwen2 && config.attention_bias,
      mlp: type === "llama" && config.mlp_bias,
    },
    headNorms: type.startsWith("qwen3"),
    intermediate: config.intermediate_size,
    experts: expertsOf(config),
  };
}

function expertsOf(config: z.output<typeof modelConfig>): Experts | undefined {
  const { num_experts: count, num_experts_per_tok: used, moe_intermediate_size: intermediate } = config;
  if (!config.model_type.endsWith("_moe") || count === undefined || intermediate === undefined) return undefined;
  const { num_hidden_layers: layers, decoder_sparse_step: step, mlp_only_layers: dense } = config;
  const sparse = Array.from({ length: layers }, (_, layer) => layer).filter(
    (layer) => !dense.includes(layer) && (layer + 1) % step === 0,
  );
  const shared = config.shared_expert_intermediate_size;
  return { count, used: used ?? count, intermediate, shared, layers: sparse.length };
}
