import { describe, expect, it } from "vitest";
import { fittingTemplate, modelFaults, templateFaults } from "../../recipe/compatibility/template.ts";
import { readExperiment } from "../../recipe/experiment.ts";
import { Fault } from "../../recipe/fault.ts";

type Values = Readonly<Record<string, unknown>>;

const evaluation = { val_size: 0.1, eval_strategy: "steps", eval_steps: 20 };

/** An experiment's faults as people read them. */
function sentences(train: Values, rest: Values = {}): string[] {
  const config = {
    model: { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" },
    datasets: [{ builtin: "general" }],
    train: { template: "qwen", ...train },
    ...rest,
  };
  return (readExperiment(config).faults ?? []).map((fault) => new Fault(fault).sentence);
}

describe("an experiment in preview", () => {
  it.each<[string, Values, Values, RegExp]>([
    ["GaLore with LoRA", { use_galore: true }, {}, /^train\.use_galore: does not work with finetuning_type lora.*full/],
    ["evaluation without rows", { eval_strategy: "steps" }, {}, /^train\.val_size: is 0 .*val_size: 0\.1/],
    [
      "DeepSpeed on the local target",
      { deepspeed: { zero_optimization: { stage: 2 } } },
      {},
      /^train\.deepspeed: needs a start by torchrun/,
    ],
    ["bf16 and fp16", { bf16: true, fp16: true }, {}, /^train\.fp16: and bf16 exclude each other/],
    [
      "probabilities of one dataset too many",
      { mix_strategy: "interleave_over", interleave_probs: "0.5,0.5" },
      {},
      /2 probabilities for 1 datasets/,
    ],
    ["pure_bf16 on a CPU", { pure_bf16: true }, { compute: { device: "cpu" } }, /^train\.pure_bf16: needs a GPU/],
    [
      "the best checkpoint without evaluation",
      {},
      { serve: { checkpoint: "best" } },
      /^serve\.checkpoint: best needs evaluation.*val_size: 0\.1/,
    ],
    [
      "the best checkpoint saved at other times",
      { ...evaluation, save_strategy: "epoch" },
      { serve: { checkpoint: "best" } },
      /^train\.save_strategy: must be that of evaluation, steps/,
    ],
    [
      "the best checkpoint between savings",
      { ...evaluation, save_steps: 30 },
      { serve: { checkpoint: "best" } },
      /^train\.save_steps: must be a multiple of eval_steps.*30 is none of 20/,
    ],
    [
      "the best by something else",
      { ...evaluation, metric_for_best_model: "eval_accuracy" },
      { serve: { checkpoint: "best" } },
      /^train\.metric_for_best_model: is "eval_loss"/,
    ],
    [
      "an adapter under full training",
      { finetuning_type: "full" },
      { model: { source: "hub", id: "Qwen/Qwen2.5-7B", adapter: "a-1" } },
      /^train\.adapter_name_or_path: .*tuneup:model\.adapter/,
    ],
    [
      "a second adapter in vLLM",
      { create_new_adapter: true },
      { model: { source: "hub", id: "Qwen/Qwen2.5-7B", adapter: "a-1" }, serve: { engine: "vllm" } },
      /^model\.adapter: is merged.*engine: huggingface/,
    ],
    [
      "a rank over vLLM's room",
      { lora_rank: 1024 },
      { serve: { engine: "vllm" } },
      /^train\.lora_rank: is 1024, and vLLM serves ranks up to 512/,
    ],
    [
      "QLoRA in vLLM",
      { quantization_bit: 4 },
      { serve: { engine: "vllm" } },
      /^train\.quantization_bit: does not work with serve\.engine vllm/,
    ],
    [
      "a reward model to chat with",
      { stage: "rm" },
      {},
      /^train\.stage: rm makes a reward model.*serve\.enabled: false/,
    ],
    [
      "a template of another family",
      { template: "llama3" },
      {},
      /^train\.template: must be qwen for Qwen2\.5.*template: qwen/,
    ],
    [
      "a model that sees",
      {},
      { model: { source: "hub", id: "Qwen/Qwen2.5-VL-7B-Instruct" } },
      /^model\.id: names a VL model/,
    ],
  ])("refuses %s in one sentence", (_name, train, rest, expected) => {
    const found = sentences(train, rest);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  it.each<[string, Values, Values]>([
    ["the best checkpoint", evaluation, { serve: { checkpoint: "best" } }],
    ["QLoRA", { quantization_bit: 4 }, {}],
    [
      "rslora, dora, pissa and loraplus",
      { use_rslora: true, use_dora: true, pissa_init: true, loraplus_lr_ratio: 16 },
      {},
    ],
    ["OFT", { finetuning_type: "oft" }, {}],
    ["freeze", { finetuning_type: "freeze", freeze_trainable_layers: 4 }, {}],
    ["GaLore", { finetuning_type: "full", use_galore: true }, {}],
    ["APOLLO", { finetuning_type: "full", use_apollo: true }, {}],
    ["BAdam", { finetuning_type: "full", use_badam: true }, {}],
    ["stage pt", { stage: "pt" }, {}],
    ["stage rm", { stage: "rm" }, { serve: { enabled: false } }],
    ["stage dpo", { stage: "dpo", pref_beta: 0.1 }, {}],
    ["stage kto", { stage: "kto" }, {}],
    ["stage ppo", { stage: "ppo", reward_model: "/data/runs/reward/output" }, {}],
    ["bf16 where the device is not known yet", { bf16: true, pure_bf16: true }, {}],
    [
      "several GPUs with DeepSpeed elsewhere",
      { deepspeed: { zero_optimization: { stage: 3 } } },
      { target: "aws", compute: { gpus: 2 } },
    ],
    [
      "a second adapter on the first",
      { create_new_adapter: true },
      { model: { source: "hub", id: "Qwen/Qwen2.5-7B", adapter: "a-1, /b" } },
    ],
    ["modules as a list", { lora_target: ["q_proj", "v_proj"], additional_target: "embed_tokens,lm_head" }, {}],
  ])("takes %s", (_name, train, rest) => {
    expect(sentences(train, rest)).toEqual([]);
  });

  it("reads what `pulumi config set --path` writes into a map", () => {
    const train = { template: "qwen", lr_scheduler_kwargs: { min_lr: "1e-6", decay: { on: "true" }, name: "a" } };
    const model = { source: "hub", id: "Qwen/Qwen2.5-7B" };
    expect(readExperiment({ model, datasets: [{ builtin: "general" }], train }).experiment?.train).toMatchObject({
      lr_scheduler_kwargs: { min_lr: 1e-6, decay: { on: true }, name: "a" },
    });
  });
});

describe("values", () => {
  it.each<[Values, RegExp]>([
    [{ save_strategy: false }, /^train\.save_strategy: must be one of no, .*got false\. Write "no" with its quotes/],
    [{ bf16: "yes" }, /must be true or false.*got "yes"\. Write true\./],
    [{ bf16: 0 }, /got 0\. Write false\./],
    [{ evaluation_strategy: "steps" }, /is not an argument .*It is called `eval_strategy` now/],
    [{ group_by_length: true }, /train_sampling_strategy: group_by_length/],
    [{ lora_rank: 2.5 }, /must be a whole number such as 8, got 2\.5/],
    [{ cutoff_len: "8gb" }, /must be a whole number such as 2048, got "8gb"/],
    [{ lora_target: { q_proj: true } }, /must be a list or a text/],
    [{ hf_hub_token: "hf_abc" }, /holds a secret/],
    [{ parallelism_config: {} }, /can't be set in a file/],
    [{ do_train: true }, /is set by tuneup itself/],
  ])("%j are refused with what is expected", (train, expected) => {
    const found = sentences(train);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
    expect(found[0]).not.toContain("hf_abc");
  });
});

describe("templates and families", () => {
  it.each([
    ["Qwen/Qwen2-7B-Instruct", "qwen"],
    ["Qwen/Qwen2.5-7B-Instruct", "qwen"],
    ["Qwen/QwQ-32B", "qwen"],
    ["Qwen/Qwen3-4B-Instruct-2507", "qwen3_nothink"],
    ["Qwen/Qwen3-8B", "qwen3"],
    ["meta-llama/Llama-2-7b-chat-hf", "llama2"],
    ["meta-llama/Meta-Llama-3-8B-Instruct", "llama3"],
    ["LLM-Research/Llama-3.2-1B-Instruct", "llama3"],
    ["HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2"],
    ["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseekr1"],
    ["deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "deepseekr1"],
  ])("%s takes %s, a neutral one, and none of another family", (id, template) => {
    expect(templateFaults(template, id)).toEqual([]);
    expect(templateFaults("alpaca", id)).toEqual([]);
    expect(fittingTemplate(template, id)).toBe(template);
    expect(templateFaults(fittingTemplate("gemma2", id), id)).toEqual([]);
    const [fault] = templateFaults("gemma2", id);
    expect(fault?.next).toContain(template);
    const other = template === "qwen" ? "llama3" : "qwen";
    expect(templateFaults(other, id)).toHaveLength(1);
  });

  it("goes by config.json where the id says nothing, and lets the unknown pass", () => {
    expect(templateFaults("qwen", "/models/mine", "qwen3")).toHaveLength(1);
    expect(templateFaults("qwen3", "/models/mine", "qwen3")).toEqual([]);
    expect(templateFaults("deepseekr1", "/models/mine", "qwen2")).toEqual([]);
    expect(templateFaults("gemma2", "/models/mine", "llama")).toEqual([]);
    expect(templateFaults("gemma2", "google/gemma-2-2b")).toEqual([]);
  });

  it.each([
    "Qwen/Qwen2-VL-7B",
    "Qwen/Qwen2-Audio-7B",
    "Qwen/Qwen2.5-Omni-7B",
    "Qwen/QVQ-72B-Preview",
    "meta-llama/Llama-3.2-11B-Vision",
  ])("%s is refused by name", (id) =>
    expect(modelFaults(id)).toMatchObject([{ code: "model-not-text", property: "model.id" }]),
  );

  it("goes by config.json for models of another name", () => {
    expect(modelFaults("/models/mine", "qwen2_5_vl")).toHaveLength(1);
    expect(modelFaults("/models/mine", "qwen2")).toEqual([]);
    expect(modelFaults("Qwen/Qwen2.5-7B-Instruct")).toEqual([]);
  });
});
