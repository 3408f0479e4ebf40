import { expect, test } from "vitest";
import { engineNames, engineOf, engineTrouble, ownEngine } from "../../recipe/engines.ts";
import { parseGpus } from "../../recipe/gpus.ts";
import { trainingPart } from "../../recipe/render.ts";

const gpus = (driver: string, name = "NVIDIA H100 80GB HBM3") => parseGpus(`0, GPU-1, ${name}, 81559, ${driver}`);
const linux = { platform: "linux", arch: "x64" } as const;

test("only vLLM has an environment of its own", () => {
  expect(engineNames).toEqual(["vllm"]);
  expect(["huggingface", "vllm", "sglang"].map(ownEngine)).toEqual([undefined, "vllm", undefined]);
});

test.each([
  [{ enabled: true, engine: "vllm" }, "never", "vllm"],
  [{ enabled: true, engine: "huggingface" }, "never", undefined],
  [{ enabled: false, engine: "vllm" }, "never", undefined],
  [{ enabled: true, engine: "vllm" }, "after-training", undefined],
])("of serve %j with teardown %s the environment of %s is needed", (serve, when, engine) => {
  expect(engineOf({ serve, teardown: { when } })).toBe(engine);
});

test.each([
  ["no GPU", { ...linux, gpus: [] }, "engine-needs-cuda", /no build for the CPU/],
  ["a CPU by config", { device: "cpu" }, "engine-needs-cuda", /needs an NVIDIA GPU/],
  ["macOS", { platform: "darwin", arch: "arm64" }, "engine-platform", /Linux on x86-64; this host is darwin on arm64/],
  ["an ARM server", { ...linux, arch: "arm64", gpus: gpus("580.65.06") }, "engine-platform", /linux on arm64/],
  ["a driver of CUDA 11", { ...linux, gpus: gpus("470.256.02") }, "engine-driver-too-old", /CUDA 12\.8.*525 or newer/],
  ["a Pascal card", { ...linux, gpus: gpus("580.65.06", "Tesla P100-PCIE-16GB") }, "engine-card-too-old", /6\.0.*7\.0/],
] as const)("with %s it is refused, with what to do", (_what, host, code, words) => {
  const trouble = engineTrouble("vllm", host);
  expect(trouble).toMatchObject({ code, property: "serve.engine", message: expect.stringMatching(words) as string });
  expect(trouble?.next).toMatch(/, or set `tuneup:serve\.engine: huggingface`\.$/);
});

test.each([
  ["a GPU of which nothing is known", { ...linux, gpus: [{ name: "GPU", memoryBytes: 0, driver: "" }] }],
  ["an H100", { ...linux, gpus: gpus("580.65.06") }],
  ["the driver of a cloud's older image", { ...linux, gpus: gpus("535.183.01") }],
  ["a host that nobody asked", {}],
])("with %s it is not", (_what, host) => {
  expect(engineTrouble("vllm", host)).toBeUndefined();
});

test("the engine's settings are no part of what decides a run", () => {
  const train = { template: "qwen", lora_rank: 8 };
  expect(trainingPart({ ...train, vllm_maxlen: 8192, vllm_gpu_util: 0.9, vllm_enforce_eager: true })).toEqual(train);
});
