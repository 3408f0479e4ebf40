import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collect, makeHost } from "./harness.ts";
import type { FakePlan } from "./fake-trainer.ts";

let host: ReturnType<typeof makeHost>;
beforeEach(() => {
  host = makeHost();
});
afterEach(() => host.clean());

type Trouble = NonNullable<FakePlan["troubles"]>[number];

/** Runs with these troubles; the fault it ends with, or its final status, and how often the trainer was started. */
const outcome = (...troubles: readonly Trouble[]) => outcomeOf({ steps: 6, troubles });

async function outcomeOf(plan: FakePlan): Promise<{ end: Record<string, unknown>; attempts: number }> {
  host.plan(plan);
  await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
  const end = await host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect()).then(
    ({ status }) => ({ state: status.state }),
    (thrown: unknown) => thrown as Record<string, unknown>,
  );
  return { end, attempts: host.events().filter(({ kind }) => kind === "attempt").length };
}

describe("a trainer that ends early", () => {
  test("through the user's data fails at once, in a sentence", async () => {
    const fault = { type: "KeyError", message: "'instruction'" };
    const { end, attempts } = await outcome({ step: 3, fault });
    expect(attempts).toBe(1);
    expect(end).toMatchObject({
      code: "training-failed",
      blame: "user",
      message: "Training failed at step 4: the data has no 'instruction' (KeyError).",
    });
  });

  test("out of GPU memory fails at once and says what to lower", async () => {
    const message = "CUDA out of memory. Tried to allocate 2.00 GiB.";
    const { end, attempts } = await outcome({ step: 1, fault: { type: "OutOfMemoryError", message } });
    expect(attempts).toBe(1);
    expect(end).toMatchObject({ code: "out-of-memory", blame: "user" });
    expect(end["next"]).toContain("per_device_train_batch_size");
  });

  test("through an unknown exception is tried once more, and not when the same comes back", async () => {
    const fault = { type: "RuntimeError", message: "unspecified launch failure" };
    const { end, attempts } = await outcome({ step: 3, fault });
    expect(attempts).toBe(2);
    expect(end).toMatchObject({ code: "training-failed" });
  });

  test("through an exception that does not come back completes", async () => {
    const fault = { type: "RuntimeError", message: "unspecified launch failure" };
    expect(await outcome({ attempts: [1], step: 3, fault })).toMatchObject({ end: { state: "complete" }, attempts: 2 });
  });

  test("killed again and again is given up after five attempts, for the machine's sake", async () => {
    const { end, attempts } = await outcome({ step: 3, kill: true });
    expect(attempts).toBe(5);
    expect(end).toMatchObject({ code: "trainer-killed", blame: "infrastructure" });
  });

  test("killed more often than that completes if it comes a checkpoint further each time", async () => {
    // Saves after each second step: attempts 1 to 6 are killed at 3, 5, 7, 9, 11 and 13, each beyond a new checkpoint.
    const steps = [3, 5, 7, 9, 11, 13];
    const troubles = steps.map((step, index) => ({ attempts: [index + 1], step, kill: true }));
    const end = await outcomeOf({ steps: 14, troubles });
    expect(end).toMatchObject({ end: { state: "complete" }, attempts: 7 });
  });

  test("killed twice completes", async () => {
    expect(await outcome({ attempts: [1, 2], step: 3, kill: true })).toMatchObject({
      end: { state: "complete" },
      attempts: 3,
    });
  });

  test("on a full disk that has room again completes", async () => {
    const fault = { type: "OSError", message: "[Errno 28] No space left on device" };
    expect(await outcome({ attempts: [1], step: 3, fault })).toMatchObject({ end: { state: "complete" }, attempts: 2 });
  });

  test("without a report is told by its last words", async () => {
    const { end, attempts } = await outcome({ step: 1, exit: 3, says: "Traceback ...\nImportError: no torch" });
    expect(attempts).toBe(2);
    expect(end["message"]).toContain("code 3: ImportError: no torch");
  });

  test("is tried afresh when it is declared again", async () => {
    const { end } = await outcome({ attempts: [1], step: 3, fault: { type: "ValueError", message: "bad row" } });
    expect(end).toMatchObject({ code: "training-failed" });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    const { status } = await host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect());
    expect(status).toMatchObject({ state: "complete", attempt: 2 });
    expect(status.fault).toBeUndefined();
  });
});
