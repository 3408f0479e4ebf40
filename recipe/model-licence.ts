import { bundledConfig } from "./estimates/bundled.ts";

/** Under what a base model may be used. */
export interface ModelLicence {
  /** As the publisher's card names it, e.g. `apache-2.0`. */
  readonly name: string;
  /** Hugging Face gives the weights only to those who accepted the terms on its page. */
  readonly gated: boolean;
}

const open = (name: string): ModelLicence => ({ name, gated: false });
const terms = (name: string): ModelLicence => ({ name, gated: true });

/** By the model's name without its owner; the first that fits. */
const rules: readonly (readonly [name: RegExp, licence: ModelLicence])[] = [
  [/^qwen2\.5-(coder-)?3b(-|$)/, open("qwen-research")],
  [/^qwen2\.5-72b(-|$)/, open("qwen")],
  [/^qwen2-72b(-|$)/, open("tongyi-qianwen")],
  [/^(qwen(2|2\.5|3)-|qwq-32b$)/, open("apache-2.0")],
  [/^deepseek-r1-distill-qwen-/, open("mit")],
  [/^llama-2-/, terms("llama2")],
  [/^(meta-)?llama-3-/, terms("llama3")],
  [/^(meta-)?llama-3\.1-/, terms("llama3.1")],
  [/^(meta-)?llama-3\.2-/, terms("llama3.2")],
  [/^(meta-)?llama-3\.3-/, terms("llama3.3")],
  [/^(llm-)?smollm2/, open("apache-2.0")],
];

/** The licence of a model that this release knows by name, without asking anybody; undefined for every other. */
export function knownLicence(id: string): ModelLicence | undefined {
  if (bundledConfig(id) === undefined) return undefined;
  const name = (id.split("/").at(-1) ?? id).toLowerCase();
  return rules.find(([pattern]) => pattern.test(name))?.[1];
}
