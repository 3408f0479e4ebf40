import type { FaultFacts } from "../fault.ts";

/** Models that share a chat format. */
interface Family {
  /** As people call it. */
  readonly name: string;
  /** Their ids, on hubs and in paths. */
  readonly ids: RegExp;
  /** LLaMA-Factory's templates for them, the usual one first: extras/constants.py of 0.9.5. */
  readonly templates: readonly string[];
}

/** The first that matches counts: a distilled model's id also has the name of the model that it was made from. */
const families: readonly Family[] = [
  { name: "DeepSeek-R1-Distill", ids: /deepseek-r1-(0528-|distill)/i, templates: ["deepseekr1"] },
  { name: "QwQ", ids: /\bqwq-/i, templates: ["qwen"] },
  { name: "Qwen3-Instruct-2507", ids: /qwen3-[^/]*instruct/i, templates: ["qwen3_nothink", "qwen3"] },
  { name: "Qwen3", ids: /qwen3-/i, templates: ["qwen3", "qwen3_nothink"] },
  { name: "Qwen2.5", ids: /qwen2\.5-/i, templates: ["qwen"] },
  { name: "Qwen2", ids: /qwen2-/i, templates: ["qwen"] },
  { name: "Llama 3", ids: /llama-?3([.-]|$)|llama-3/i, templates: ["llama3"] },
  { name: "Llama 2", ids: /llama-?2-/i, templates: ["llama2", "llama2_zh"] },
  { name: "SmolLM2", ids: /smollm2/i, templates: ["smollm2"] },
];

/** By config.json, where the id says nothing: a folder may be called anything. One type can be several families. */
const templatesByType: Readonly<Record<string, readonly string[]>> = {
  qwen2: ["qwen", "deepseekr1", "chatml"],
  qwen2_moe: ["qwen"],
  qwen3: ["qwen3", "qwen3_nothink", "deepseekr1"],
  qwen3_moe: ["qwen3", "qwen3_nothink"],
};

/** Formats of no family, which people teach to base models. */
const neutral = ["default", "empty", "fewshot", "alpaca", "vicuna", "zephyr", "chatml", "chatml_de"];

/** Is the template of another family than the model's? Unknown families pass. `modelType` is config.json's `model_type`. */
export function templateFaults(template: string, modelId: string, modelType?: string): FaultFacts[] {
  if (neutral.includes(template)) return [];
  const family = families.find(({ ids }) => ids.test(modelId));
  const allowed = family?.templates ?? templatesByType[modelType ?? ""];
  if (allowed === undefined || allowed.includes(template)) return [];
  const model =
    family === undefined ? `a model of type ${String(modelType)}` : `${family.name}, and the model is ${modelId}`;
  return [
    {
      code: "template-family",
      property: "train.template",
      message: `must be ${allowed.join(" or ")} for ${model}; got ${template}, the format of another family.`,
      next: `Set \`train.template: ${allowed[0] ?? ""}\`.`,
    },
  ];
}

/** The template for a model taken in place of another: the same where it fits, else the usual one of the model's family. */
export function fittingTemplate(template: string, modelId: string): string {
  const family = families.find(({ ids }) => ids.test(modelId));
  if (family === undefined || templateFaults(template, modelId).length === 0) return template;
  return family.templates[0] ?? template;
}

const senses = /(^|[-_/.\d])(vl|audio|omni|vision|qvq|llava|mllama)([-_/.\d]|$)/i;

/** Models that see or hear are refused by name: what is estimated, checked and served here is text. */
export function modelFaults(modelId: string, modelType?: string): FaultFacts[] {
  const sense = senses.exec(modelId)?.[2] ?? senses.exec(modelType ?? "")?.[2];
  if (sense === undefined) return [];
  return [
    {
      code: "model-not-text",
      property: "model.id",
      message: `names a ${sense} model, ${modelId}; tuneup trains text models of Qwen2, Qwen2.5, Qwen3 and Llama.`,
      next: "Take the text model of the same size, such as Qwen/Qwen2.5-7B-Instruct.",
    },
  ];
}
