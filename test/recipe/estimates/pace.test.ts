import { expect, test } from "vitest";
import { bundledShape } from "../../../recipe/estimates/bundled.ts";
import { cardOf } from "../../../recipe/estimates/cards.ts";
import { diskOf } from "../../../recipe/estimates/disk.ts";
import { paceOf } from "../../../recipe/estimates/pace.ts";
import { trainingOf } from "../../../recipe/estimates/training.ts";

const shape = bundledShape("Qwen/Qwen2.5-7B-Instruct")!;

/** Tokens a second on one H100, 480 rows of 602 tokens on average: the table in docs/estimates.md. */
test.each([
  [1, false, 1278],
  [1, true, 1927],
  [8, false, 4256],
])("batch %i, checkpointing off %s: within 20 %% of the measured %i tokens/s", (batch, off, measured) => {
  const train = { per_device_train_batch_size: batch, cutoff_len: 1024, disable_gradient_checkpointing: off };
  const rows = { mean: 602, longest: 1004 };
  const run = { card: cardOf("H100-80GB"), rows, microSteps: 480 / batch, packed: false };
  const { tokensPerSecond } = paceOf(shape, trainingOf(train, shape, 1), run);
  expect(Math.abs(tokensPerSecond / measured - 1)).toBeLessThan(0.2);
});

test("disk counts weights, environment, save_total_limit checkpoints and one being written", () => {
  const of = (train: Record<string, number | string | boolean>) =>
    diskOf(shape, trainingOf(train, shape, 1), { train, variants: [], steps: 10_000, tokens: 0 });
  const full = of({ finetuning_type: "full", pure_bf16: true, save_total_limit: 2, save_steps: 100 });
  // Weights 2 bytes, two moments of 2 bytes each, three checkpoints, the result.
  expect(full.checkpoints / (3 * 6 * 7_615_616_512)).toBeCloseTo(1);
  expect(full.total / 1e9).toBeCloseTo(15.2 + 5.6 + 137.1 + 15.2, 0);
  const lighter = {
    finetuning_type: "full",
    pure_bf16: true,
    save_total_limit: 1,
    save_steps: 100,
    save_only_model: true,
  };
  expect(of(lighter).checkpoints).toBeLessThan(full.checkpoints / 4);
  expect(of({}).total / 1e9).toBeCloseTo(15.2 + 5.6 + 0.8, 0);
});
