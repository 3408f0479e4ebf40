import { expect, test } from "vitest";
import { progressLine } from "../../provider/engine-log.ts";
import { runProgress } from "../../recipe/run-progress.ts";

test("progress is told with the time left", () => {
  expect(progressLine({ message: "model.safetensors: 1 MB of 3 MB", secondsLeft: 65 })).toBe(
    "model.safetensors: 1 MB of 3 MB, 1:05 left",
  );
});

test("a message that tells it itself is left as it is", () => {
  const times = { declaredAt: "2026-01-01T00:00:00Z", updatedAt: "2026-01-01T00:00:00Z" };
  const status = { schemaVersion: 1 as const, run: "r", attempt: 1, step: 12, totalSteps: 24, ...times };
  const training = runProgress({ ...status, state: "training", secondsLeft: 21 });
  expect(training.secondsLeft).toBe(21);
  expect(progressLine(training)).toBe("step 12/24 · 0:21 left");
});

test("where nothing is known, or nothing is left, nothing is said of it", () => {
  expect(progressLine({ message: "testing" })).toBe("testing");
  expect(progressLine({ message: "saving", secondsLeft: 0 })).toBe("saving");
  expect(progressLine({ message: "saving", secondsLeft: 0.3 })).toBe("saving");
});

test("`left` in another sense is no time", () => {
  expect(progressLine({ message: "removing what a killed one left", secondsLeft: 9 })).toBe(
    "removing what a killed one left, 0:09 left",
  );
});
