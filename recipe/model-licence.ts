import { bundledConfig } from "./estimates/bundled.ts";

/** Under what a base model may be used. */
export interface ModelLicence {
  /** As the publisher's card names it, e.g. `apache-2.0`. */
  readonly name: string;
  /** Hugging Face gives the weights only to those who accepted the terms on its page. */
  readonly gated: boolean;
  /** Where the publisher says so: a model's card, or what was announced of the whole family. */
  readonly source: string;
}

const card = (id: string): string => `https://huggingface.co/${id}`;
const open = (name: string, source: string): ModelLicence => ({ name, gated: false, source });
const terms = (name: string, id: string): ModelLicence => ({ name, gated: true, source: card(id) });

/** By the model's name without its owner; the first that fits. */
const rules: readonly (readonly [name: RegExp, licence: ModelLicence])[] = [
  [/^qwen2\.5-3b(-|$)/, open("qwen-research", card("Qwen/Qwen2.5-3B"))],
  [/^qwen2\.5-coder-3b(-|$)/, open("qwen-research", card("Qwen/Qwen2.5-Coder-3B"))],
  [/^qwen2\.5-72b(-|$)/, open("qwen", card("Qwen/Qwen2.5-72B-Instruct"))],
  // "The models under 72B are Apache-2.0."
  [/^qwen2-72b(-|$)/, open("tongyi-qianwen", card("Qwen/Qwen2-72B/discussions/1"))],
  [/^qwen2-/, open("apache-2.0", card("Qwen/Qwen2-72B/discussions/1"))],
  // "All our open-source models, except for the 3B and 72B variants, are licensed under Apache 2.0."
  [/^qwen2\.5-/, open("apache-2.0", "https://qwenlm.github.io/blog/qwen2.5/")],
  [/^qwen3-/, open("apache-2.0", "https://qwenlm.github.io/blog/qwen3/")],
  [/^qwq-32b$/, open("apache-2.0", card("Qwen/QwQ-32B"))],
  [/^deepseek-r1-distill-qwen-/, open("mit", card("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"))],
  [/^llama-2-/, terms("llama2", "meta-llama/Llama-2-7b-hf")],
  [/^(meta-)?llama-3-/, terms("llama3", "meta-llama/Meta-Llama-3-8B")],
  [/^(meta-)?llama-3\.1-/, terms("llama3.1", "meta-llama/Llama-3.1-8B")],
  [/^(meta-)?llama-3\.2-/, terms("llama3.2", "meta-llama/Llama-3.2-1B")],
  [/^(meta-)?llama-3\.3-/, terms("llama3.3", "meta-llama/Llama-3.3-70B-Instruct")],
  [/^(llm-)?smollm2/, open("apache-2.0", card("HuggingFaceTB/SmolLM2-135M-Instruct"))],
];

/** The licence of a model that this release knows by name, without asking anybody; undefined for every other. */
export function knownLicence(id: string): ModelLicence | undefined {
  if (bundledConfig(id) === undefined) return undefined;
  const name = (id.split("/").at(-1) ?? id).toLowerCase();
  return rules.find(([pattern]) => pattern.test(name))?.[1];
}

/** The licence in words: what the hub says of the model goes before what this release knows. `told`: undefined where the hub says none. */
export function licenceWords(id: string, told: string | undefined): string {
  if (told !== undefined && told !== "other") return `licence ${told}`;
  const known = knownLicence(id);
  if (known !== undefined) return `licence ${known.name} (by ${known.source}; the hub names none)`;
  return told === undefined ? "its card names no licence" : `licence ${told}`;
}
