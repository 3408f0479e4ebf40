import { parse } from "yaml";
import { expect, test } from "vitest";
import { curveOf } from "../../../agent/runs/commands.ts";
import { toYaml } from "../../../agent/runs/to-yaml.ts";
import { doneReport, type TrainerReport, trainSeconds } from "../../../agent/runs/reports.ts";
import { judge } from "../../../agent/runs/verdict.ts";
import type { RunStatus } from "../../../recipe/lifecycle.ts";
import { runProgress } from "../../../recipe/run-progress.ts";

const metric = (step: number, attempt: number, more: object = {}) => ({ at: "", attempt, step, ...more });

test("a curve has each step once, as it was done last", () => {
  const curve = curveOf([
    metric(1, 1),
    metric(2, 1),
    metric(3, 1),
    metric(2, 2, { loss: 5 }),
    metric(3, 2),
    metric(4, 2),
  ]);
  expect(curve.map(({ step, attempt }) => [step, attempt])).toEqual([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 2],
  ]);
});

test("loss and evaluation of one step are one point", () => {
  expect(curveOf([metric(1, 1, { loss: 2 }), metric(1, 1, { evalLoss: 3 })])).toEqual([
    metric(1, 1, { loss: 2, evalLoss: 3 }),
  ]);
});

test("YAML is read back by the rules of YAML 1.1, which LLaMA-Factory's parser follows", () => {
  const values = { save_strategy: "no", learning_rate: 1e-7, big: -2e21, list: ["on", 1e-9], text: "1e-7", none: null };
  const text = toYaml(values);
  expect(parse(text, { version: "1.1" })).toEqual(values);
  // PyYAML takes a number with an exponent for a text unless it has a dot.
  expect(text).toMatch(/^learning_rate: 1\.0e-7$/m);
  expect(text).toMatch(/^big: -2\.0e\+21$/m);
});

const at = (second: number) => new Date(second * 1000).toISOString();
const told = (kind: string, second: number, more: object = {}) =>
  ({ kind, at: at(second), attempt: 1, ...more }) as TrainerReport;

test("training time is that of the steps, over all attempts", () => {
  const reports = [
    told("begin", 15, { step: 0, total: 9, tokens: 0 }),
    told("step", 20, { step: 1, total: 9, tokens: 1 }),
    told("step", 26, { step: 2, total: 9, tokens: 1 }),
    told("begin", 100, { step: 1, total: 9, tokens: 0 }),
    told("step", 104, { step: 2, total: 9, tokens: 0 }),
    told("begin", 200, { step: 9, total: 9, tokens: 0 }),
  ];
  expect(trainSeconds(reports)).toBe(15);
});

test("a run is done when that is the last word of the trainer", () => {
  const done = told("done", 1, { step: 9, total: 9 });
  expect(doneReport([told("start", 0, { pid: 1 }), done, told("phase", 2, { phase: "x" })])).toBe(done);
  expect(doneReport([done, told("repair", 2)])).toBeUndefined();
  expect(doneReport([done, told("start", 2, { pid: 1 })])).toBeUndefined();
});

const end = { code: 1, signal: undefined, lastWords: "", fault: undefined, step: 3 };
const fault = (type: string, message: string, phase = "training") => ({
  ...end,
  fault: { kind: "fault" as const, at: "", attempt: 1, type, message, phase, step: 3 },
});

test.each([
  [fault("ValueError", "Undefined dataset x in dataset_info.json.", "loading"), "never", "training-failed"],
  [fault("SafetensorError", "Error while deserializing header: invalid", "loading"), "never", "training-failed"],
  [fault("SafetensorError", "I/O error: No space left on device (os error 28)"), "room", "disk-full"],
  [fault("RuntimeError", "CUDA error: out of memory"), "never", "out-of-memory"],
  [fault("MemoryError", "MemoryError"), "never", "out-of-memory"],
  [fault("AcceleratorError", "CUDA error: unspecified launch failure"), "always", "gpu-lost"],
  [fault("RuntimeError", "CUDA error: uncorrectable ECC error encountered"), "always", "gpu-lost"],
  [fault("RuntimeError", "No CUDA GPUs are available"), "always", "gpu-lost"],
  [fault("RuntimeError", "CUDA error: device-side assert triggered"), "once", "training-failed"],
  [{ ...end, code: 75, stalled: 601 }, "always", "trainer-stalled"],
  [{ ...end, code: undefined, signal: "SIGKILL" as const, oomKilled: true }, "always", "trainer-killed"],
  [fault("OSError", "[Errno 5] Input/output error"), "once", "training-failed"],
  [{ ...end, lastWords: "OSError: [Errno 28] No space left on device" }, "room", "disk-full"],
  [{ ...end, code: undefined, signal: "SIGKILL" as const }, "always", "trainer-killed"],
  [{ ...end, code: undefined, signal: "SIGSEGV" as const }, "always", "trainer-killed"],
  [{ ...end, code: 75 }, "always", "trainer-stopped"],
  [{ ...end, code: 76 }, "always", "trainer-held"],
  [{ ...end, code: 0 }, "once", "trainer-ended"],
] as const)("%o is judged %s: %s", (given, retry, code) => {
  expect(judge(given)).toMatchObject({ retry, fault: { code } });
});

test("a GPU that is missing before the first step is a lost one: the environment was proved on it", () => {
  for (const missing of [
    fault("RuntimeError", "No CUDA GPUs are available", "loading"),
    fault("GpuMissing", "torch finds no GPU that it can use", "importing"),
  ]) {
    const given = { ...missing, fault: { ...missing.fault, step: 0 } };
    const verdict = judge({ ...given, device: "cuda" });
    expect(verdict).toMatchObject({ retry: "always", fault: { code: "gpu-lost", blame: "infrastructure" } });
    expect(verdict.fault.message).toContain(`The GPU was lost while ${given.fault.phase}: ${given.fault.message}`);
    // There none was to be used.
    expect(judge({ ...given, device: "cpu" })).toMatchObject({ retry: "once", fault: { code: "training-failed" } });
  }
});

test("a trainer that hung says where", () => {
  const hung = { ...end, code: 75, stalled: 3601 };
  expect(judge({ ...hung, phase: "saving" }).fault.message).toContain("for 3601 s while saving, and");
  expect(judge({ ...hung, phase: "training" }).fault.message).toContain("for 3601 s at step 4, and");
});

test("a kill says so where the kernel's memory killer is at work", () => {
  const killed = { ...end, code: undefined, signal: "SIGKILL" as const };
  expect(judge({ ...killed, oomKilled: true }).fault.message).toContain("memory ran out, and the kernel killed");
  expect(judge({ ...killed, oomKilled: false }).fault.message).not.toContain("ran out, and");
});

test("training time and order are the trainer's own clock's where the time of day jumps", () => {
  const reports = [
    told("begin", 15, { step: 0, total: 9, tokens: 0, clock: 1000 }),
    told("step", 3620, { step: 1, total: 9, tokens: 1, clock: 6000 }),
  ];
  expect(trainSeconds(reports)).toBe(5);
});

test("a status is one line for people", () => {
  const status: RunStatus = {
    schemaVersion: 1,
    run: "mine-1",
    state: "training",
    attempt: 1,
    step: 12,
    totalSteps: 24,
    loss: 0.61234,
    learningRate: 8.1e-4,
    tokensPerSecond: 511.6,
    secondsLeft: 20.6,
    declaredAt: "",
    updatedAt: "",
    detail: "training",
  };
  expect(runProgress(status)).toEqual({
    message: "step 12/24 · loss 0.612 · lr 8.1e-4 · 512 tokens/s · 0:21 left",
    fraction: 0.5,
    secondsLeft: 20.6,
  });
  const loading = { ...status, step: 0, totalSteps: 0, secondsLeft: undefined, detail: "loading Python packages" };
  expect(runProgress(loading as unknown as RunStatus)).toEqual({ message: "training: loading Python packages" });
});
