import { expect, test } from "vitest";
import type { TrainArguments } from "../../../recipe/arguments.ts";
import { bundledShape } from "../../../recipe/estimates/bundled.ts";
import { cardOf, hasBf16 } from "../../../recipe/estimates/cards.ts";
import measured from "../../../recipe/estimates/measured.json" with { type: "json" };
import { memoryOf } from "../../../recipe/estimates/memory.ts";
import { proposalsFor } from "../../../recipe/estimates/proposals.ts";
import { trainingOf } from "../../../recipe/estimates/training.ts";

interface Measured {
  readonly model: string;
  readonly gpus?: number;
  readonly batch: number;
  readonly cutoff: number;
  readonly arguments: TrainArguments;
  readonly peakBytes?: number;
  readonly trainedParameters?: number;
  readonly outOfMemory?: boolean;
  readonly cardBytes?: number;
}

const settings = [
  ...measured.settings,
  ...measured.h100.settings,
  ...measured.several.settings,
] as unknown as readonly Measured[];
const GB = 1e9;

function idOf(model: string): string {
  return model.startsWith("Llama") ? `meta-llama/${model}` : `Qwen/${model}`;
}

function estimate(id: string, train: TrainArguments, gpus = 1) {
  const shape = bundledShape(id)!;
  const training = trainingOf({ stage: "sft", finetuning_type: "lora", bf16: true, ...train }, shape, gpus);
  return { training, memory: memoryOf(shape, training) };
}

test.each(settings.filter(({ outOfMemory }) => outOfMemory !== true))(
  "$model batch $batch, cutoff $cutoff, $arguments ($gpus): never 5 % under what was measured, at most 20 % over",
  ({ model, batch, cutoff, arguments: given, peakBytes, trainedParameters, gpus = 1 }) => {
    const rows = { per_device_train_batch_size: batch, cutoff_len: cutoff };
    const { training, memory } = estimate(idOf(model), { ...rows, ...given }, gpus);
    if (gpus === 1) expect(training.trained).toBe(trainedParameters);
    expect(memory.total / (peakBytes ?? NaN)).toBeGreaterThanOrEqual(0.95);
    expect(memory.total / (peakBytes ?? NaN)).toBeLessThanOrEqual(1.2);
  },
);

test("batch 8 without checkpointing and Liger does not fit on 80 GB, as seen; with Liger it does", () => {
  const h100 = cardOf("NVIDIA H100 80GB HBM3")!.memoryGiB * 2 ** 30;
  expect(settings.filter(({ outOfMemory }) => outOfMemory)).toHaveLength(3);
  const train = { per_device_train_batch_size: 8, cutoff_len: 1024, disable_gradient_checkpointing: true };
  expect(estimate("Qwen/Qwen2.5-7B-Instruct", train).memory.total).toBeGreaterThan(h100);
  const liger = { ...train, enable_liger_kernel: true };
  expect(estimate("Qwen/Qwen2.5-7B-Instruct", liger).memory.total).toBeLessThan(h100);
});

/** README of LLaMA-Factory 0.9.5, "Hardware Requirement", estimated by its authors; GB. */
const table: readonly (readonly [string, TrainArguments, readonly [number, number, number]])[] = [
  ["full in bf16", { finetuning_type: "full" }, [120, 240, 1200]],
  ["full in pure bf16", { finetuning_type: "full", pure_bf16: true }, [60, 120, 600]],
  ["LoRA", {}, [16, 32, 160]],
  ["QLoRA of 8 bit", { quantization_bit: 8 }, [10, 20, 80]],
  ["QLoRA of 4 bit", { quantization_bit: 4 }, [6, 12, 48]],
];
const sizes = ["meta-llama/Llama-2-7b-hf", "Qwen/Qwen2.5-14B", "meta-llama/Llama-3.1-70B"];

test.each(
  table.flatMap(([name, train, row]) =>
    row.map((gigabytes, index) => [name, sizes[index]!, gigabytes, train] as const),
  ),
)("%s of %s: at most 15 hundredths off LLaMA-Factory's own %i GB", (_name, id, gigabytes, train) => {
  const { memory } = estimate(id, { per_device_train_batch_size: 1, cutoff_len: 1024, ...train });
  expect(Math.abs(memory.total / GB / gigabytes - 1)).toBeLessThan(0.15);
});

test("ZeRO shards states, then gradients, then weights over the cards", () => {
  const full = { finetuning_type: "full", per_device_train_batch_size: 1, cutoff_len: 1024 };
  const at = (stage: number) =>
    estimate("Qwen/Qwen2.5-7B", { ...full, deepspeed: { zero_optimization: { stage } } }, 8).memory.total;
  expect(at(1)).toBeLessThan(at(0));
  expect(at(2)).toBeLessThan(at(1));
  expect(at(3)).toBeLessThan(at(2));
  expect(at(3)).toBeGreaterThan((16 * 7.6 * GB) / 8);
});

test("what would fit is proposed, the cheapest change first, and does fit", () => {
  const train = {
    ...{ stage: "sft", finetuning_type: "lora", per_device_train_batch_size: 8, gradient_accumulation_steps: 1 },
    ...{ cutoff_len: 1024, disable_gradient_checkpointing: true },
  };
  const modelId = "Qwen/Qwen2.5-7B-Instruct";
  const question = { modelId, shape: bundledShape(modelId)!, train, gpus: 1 };
  const on = (bytes: number) => proposalsFor(question, bytes).map(({ changes }) => changes);
  expect(on(85 * GB)[0]).toEqual(["train.enable_liger_kernel: true"]);
  expect(on(40 * GB)[0]).toEqual(["train.disable_gradient_checkpointing: false"]);
  const small = proposalsFor(question, 15 * GB);
  expect(small[0]?.changes).toEqual(
    expect.arrayContaining(["train.enable_liger_kernel: true", "train.quantization_bit: 8"]),
  );
  expect(small[0]?.bytes).toBeLessThanOrEqual(15 * GB);
  expect(on(5 * GB)[0]?.[0]).toMatch(/^model\.id: Qwen\/Qwen2\.5-(0\.5|1\.5|3)B-Instruct$/);
});

test("on a CPU neither Liger nor quantization is proposed", () => {
  const modelId = "Qwen/Qwen2.5-7B-Instruct";
  const train = { stage: "sft", finetuning_type: "lora", per_device_train_batch_size: 8, cutoff_len: 1024 };
  const question = { modelId, shape: bundledShape(modelId)!, train, gpus: 1, device: "cpu" as const };
  for (const bytes of [30, 18, 8, 4]) {
    const text = JSON.stringify(proposalsFor(question, bytes * GB));
    expect(text).toMatch(/train\.|model\.id/);
    expect(text).not.toMatch(/liger|quantization/);
  }
});

test.each([
  ["NVIDIA H100 80GB HBM3", undefined, "H100-80GB"],
  ["NVIDIA A100-SXM4-40GB", undefined, "A100-40GB"],
  ["Tesla T4", undefined, "T4"],
  ["NVIDIA GeForce RTX 4090", undefined, "RTX-4090"],
  ["Tesla V100-SXM2", 34e9, "V100-32GB"],
  ["NVIDIA L4", undefined, "L4"],
  ["NVIDIA A10G", undefined, "A10G"],
])("%s is in the table of cards", (name, bytes, expected) => {
  expect(cardOf(name, bytes)?.name).toBe(expected);
});

test("cards before Ampere have no bf16", () => {
  expect(["P100", "V100", "T4", "A100", "L4", "H100"].map((name) => hasBf16(cardOf(name)!))).toEqual([
    ...[false, false, false],
    ...[true, true, true],
  ]);
  expect(cardOf("TPU v5")).toBeUndefined();
});
