import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { zeroConfig } from "../../../recipe/estimates/zero.ts";
import { readPlannableExperiment } from "../../../recipe/runnable-experiment.ts";

const examples = new URL("../../fixtures/llamafactory-examples/deepspeed/", import.meta.url);

test.each([2, 3] as const)("ZeRO-%d is configured as LLaMA-Factory's own example does", (stage) => {
  expect(zeroConfig(stage)).toEqual(JSON.parse(readFileSync(new URL(`ds_z${stage}_config.json`, examples), "utf8")));
});

/** The stage that an experiment of Qwen2.5-7B on a cluster gets; undefined without DeepSpeed. */
function stageOf(
  train: Readonly<Record<string, unknown>>,
  compute: Readonly<Record<string, unknown>> = {},
  id = "Qwen/Qwen2.5-7B-Instruct",
): unknown {
  const config = {
    target: "kubernetes",
    model: { source: "modelscope", id },
    datasets: [{ builtin: "identity", name: "Ada", author: "us" }],
    train: { template: "qwen", finetuning_type: "full", cutoff_len: 1024, bf16: true, ...train },
    compute: { gpu: "A100-80GB", gpusPerNode: 8, ...compute },
    kubernetes: {
      volume: { accessMode: "ReadWriteMany" },
      image: `registry.example.com/tuneup@sha256:${"0".repeat(64)}`,
    },
  };
  const { experiment, faults } = readPlannableExperiment(config, "/project");
  expect(faults).toBeUndefined();
  const zero = (experiment?.train["deepspeed"] as { zero_optimization?: { stage: number } } | undefined)
    ?.zero_optimization;
  return zero?.stage;
}

test("what fits into each card is trained without it", () => {
  expect(stageOf({ finetuning_type: "lora" })).toBeUndefined();
});

test("what does not fit gets the lowest stage that makes it fit", () => {
  // Weights, gradients and states in fp32 take 16 bytes for each of 7.6e9 parameters: 122 GB; sharded by eight but for the weights, 42 GB.
  expect(stageOf({})).toBe(2);
  expect(stageOf({}, { gpu: "A100-40GB" })).toBe(3);
  expect(stageOf({}, { gpusPerNode: 4, nodes: 2 })).toBe(2);
});

test("nothing is chosen on one card, on a CPU, for an unknown card or model, or where the file says something", () => {
  expect(stageOf({}, { gpusPerNode: 1 })).toBeUndefined();
  expect(stageOf({ bf16: false }, { device: "cpu", gpusPerNode: 0, nodes: 2 })).toBeUndefined();
  expect(stageOf({}, { gpu: undefined })).toBeUndefined();
  expect(stageOf({}, {}, "somebody/Model-7B")).toBeUndefined();
  expect(stageOf({ deepspeed: "" })).toBeUndefined();
  expect(stageOf({ deepspeed: { zero_optimization: { stage: 3 } } })).toBe(3);
  expect(stageOf({ fsdp: "full_shard" })).toBeUndefined();
});

test("nothing is chosen where a stage does not go with the method, or none is enough", () => {
  expect(
    stageOf({
      use_galore: true,
      galore_target: "all",
      optim: "adamw_torch",
      pure_bf16: false,
      per_device_train_batch_size: 64,
    }),
  ).toBeUndefined();
  expect(stageOf({}, { gpu: "RTX-3060" })).toBeUndefined();
});
