import { describe, expect, it } from "vitest";
import { incompatibilities, parserFaults, parserRules } from "../../recipe/compatibility/index.ts";
import { Settings } from "../../recipe/compatibility/settings.ts";
import { Fault } from "../../recipe/fault.ts";
import { brokenSets, mendedSets, plainArguments } from "../fixtures/argument-sets.ts";

const cpu = { device: "cpu", gpus: 1 } as const;

describe("rules of LLaMA-Factory's parser", () => {
  it.each(brokenSets)("refuses: $name", ({ arguments: given, context }) => {
    expect(parserFaults(given, context)).not.toEqual([]);
  });

  it.each(mendedSets)("takes: $name", ({ arguments: given, context }) => {
    expect(parserFaults(given, context)).toEqual([]);
  });

  it("is broken by a set for every rule", () => {
    const unbroken = parserRules.filter(
      ({ forbids }) => !brokenSets.some(({ arguments: given, context }) => forbids(new Settings(given), context)),
    );
    expect(unbroken.map(({ property }) => property)).toEqual([]);
  });

  it("says property, sentence and what to do next for every rule", () => {
    for (const { arguments: given, context } of brokenSets) {
      for (const fault of parserFaults(given, context)) {
        expect(fault.property).toMatch(/^(train|compute)\.[a-z0-9_]+$/);
        expect(new Fault(fault).sentence).toMatch(/^[a-z0-9_.]+: .+\. .+\.$/);
        expect(fault.message).not.toContain("NaN");
      }
    }
  });
});

describe("what the parser lets pass and training refuses", () => {
  const full = { finetuning_type: "full" };
  it.each([
    ["a quantization that bitsandbytes has not", { quantization_bit: 3 }, { quantization_bit: 4 }],
    ["eetq with 4 bits", { quantization_method: "eetq", quantization_bit: 4 }, { quantization_bit: 8 }],
    ["gptq on the fly", { quantization_method: "gptq", quantization_bit: 4 }, { quantization_bit: null }],
    ["GaLore with the default optimizer of transformers", { ...full, use_galore: true }, { optim: "adamw_torch" }],
    ["APOLLO with adafactor", { ...full, use_apollo: true, optim: "adafactor" }, { optim: "adamw_torch" }],
    [
      "GaLore by layers with accumulation",
      { ...full, use_galore: true, optim: "adamw_torch", galore_layerwise: true, gradient_accumulation_steps: 8 },
      { gradient_accumulation_steps: 1 },
    ],
    [
      "BAdam that updates nothing",
      { ...full, use_badam: true, badam_mode: "ratio", badam_update_ratio: 0 },
      { badam_update_ratio: 0.05 },
    ],
    ["evaluation in stage ppo", { stage: "ppo", reward_model: "/r", val_size: 0.1 }, { val_size: 0 }],
    [
      "a reward API that is no address",
      { stage: "ppo", reward_model: "/r", reward_model_type: "api" },
      { reward_model: "http://127.0.0.1:1/v1" },
    ],
    ["a stream that shall be kept", { streaming: true, max_steps: 1, tokenized_path: "/t" }, { tokenized_path: null }],
    [
      "early stopping without evaluation",
      { early_stopping_steps: 3, metric_for_best_model: "eval_loss" },
      { eval_strategy: "steps", val_size: 0.1 },
    ],
    [
      "early stopping by nothing",
      { early_stopping_steps: 3, eval_strategy: "steps", val_size: 0.1 },
      { metric_for_best_model: "eval_loss" },
    ],
    [
      "packing in batches with FlashAttention",
      { neat_packing: true, flash_attn: "fa2", per_device_train_batch_size: 4 },
      { per_device_train_batch_size: 1 },
    ],
    ["FSDP in one process", { fsdp: "full_shard" }, { fsdp: null }],
    ["publishing", { push_to_hub: true }, { push_to_hub: false }],
    ["a relative file", { fsdp_config: "fsdp.json" }, { fsdp_config: "/etc/fsdp.json" }],
    ["a library that is not there", { use_hyper_parallel: true }, { use_hyper_parallel: false }],
  ])("refuses %s", (_name, breaks, mends) => {
    const context = { device: "cuda", gpus: 1 } as const;
    const broken = { ...plainArguments, ...breaks };
    expect(parserFaults(broken, context)).toEqual([]);
    expect(incompatibilities(broken, context)).toHaveLength(1);
    expect(incompatibilities({ ...broken, ...mends }, context)).toEqual([]);
  });

  it("names a package that is missing although the parser does not ask for it", () => {
    const given = { ...plainArguments, quantization_bit: 4 };
    expect(incompatibilities(given, cpu)).toEqual([]);
    expect(incompatibilities(given, { ...cpu, missing: ["bitsandbytes"] })).toMatchObject([
      { code: "package-missing", property: "train.quantization_bit" },
    ]);
  });
});
