import { expect, it } from "vitest";
import {
  histogramOf,
  LengthCounts,
  mixedRows,
  packingOf,
  scheduleOf,
  stepsOf,
} from "../../recipe/dataset-statistics.ts";

function lengthsOf(...lengths: number[]): LengthCounts {
  const counts = new LengthCounts();
  for (const length of lengths) counts.add(length);
  return counts;
}

it("counts the tutorial's steps: 91 rows of identity and 1000 of the other, a tenth to evaluate", () => {
  const schedule = scheduleOf({
    per_device_train_batch_size: 1,
    gradient_accumulation_steps: 8,
    num_train_epochs: 3,
    val_size: 0.1,
    max_samples: 1000,
  });
  expect(stepsOf(1091, schedule)).toEqual({ trainRows: 981, evalRows: 110, perEpoch: 123, total: 369 });
});

it("takes max_steps, rows as val_size, and GPUs into account", () => {
  const train = { per_device_train_batch_size: 4, gradient_accumulation_steps: 2, val_size: 20, num_train_epochs: 1.5 };
  expect(stepsOf(120, scheduleOf(train, 2))).toEqual({ trainRows: 100, evalRows: 20, perEpoch: 7, total: 11 });
  expect(stepsOf(120, scheduleOf({ ...train, max_steps: 5 })).total).toBe(5);
});

it("mixes datasets as mix_strategy says", () => {
  expect(mixedRows([100, 300], scheduleOf({}))).toBe(400);
  expect(mixedRows([100, 300], scheduleOf({ mix_strategy: "interleave_under" }))).toBe(200);
  const weighted = scheduleOf({ mix_strategy: "interleave_over", interleave_probs: "0.2,0.8" });
  expect(mixedRows([100, 300], weighted)).toBe(500);
});

it("packs as LLaMA-Factory does: the longest that still fits", () => {
  // 60+40, 50+50, 30+30+30, and what is cut to 100 alone.
  const packed = packingOf(lengthsOf(60, 40, 50, 50, 30, 30, 30, 500), 100);
  expect(packed.sequences).toBe(4);
  expect(packed.filled).toBeCloseTo(0.975);
  expect(packingOf(lengthsOf(...Array.from({ length: 1000 }, () => 25)), 100).sequences).toBe(250);
});

it("finds quantiles, cuts and bars, also of rows longer than anything", () => {
  const lengths = lengthsOf(10, 20, 30, 40, 1_000_000);
  expect(lengths.quantile(0.5)).toBe(30);
  expect(lengths.cutAt(25)).toEqual({ truncated: 3, tokens: 10 + 20 + 25 * 3 });
  expect(lengths.longest).toBe(1_000_000);
  const bars = histogramOf(lengthsOf(3, 14, 15, 92), 64, 10);
  expect(bars.reduce((sum, { rows }) => sum + rows, 0)).toBe(4);
  expect(bars[1]).toEqual({ from: 10, to: 19, rows: 2 });
});
