import { expect, it } from "vitest";
import { type GpuFacts, unusableGpu } from "../../checks/usable-gpus.ts";

function facts(name?: string, driver = "580.65.06", more: Partial<GpuFacts> = {}): GpuFacts {
  const gpus = name === undefined ? [] : [{ name, driver, memoryBytes: 16 * 2 ** 30 }];
  return { gpus, environment: null, ...more };
}

it.each([
  ["an old driver", "auto", facts("NVIDIA A10G", "470.57.02"), "driver-too-old", /470\.57\.02 of NVIDIA A10G .* 525/],
  ["a card older than the build", "auto", facts("Tesla V100-SXM2-16GB"), "cuda-unusable", /capability 7\.0, .* 7\.5/],
  [
    "a broken driver",
    "auto",
    facts(undefined, "", { driverTrouble: "Driver/library version mismatch" }),
    "cuda-unusable",
    /mismatch/,
  ],
  ["no GPU where one is asked for", "cuda", facts(), "device-missing", /lists no GPU/],
] as const)("refuses %s, with the way to the CPU", (_what, device, told, code, message) => {
  const fault = unusableGpu(device, told);
  expect(fault).toMatchObject({ code, property: "compute.device", message: expect.stringMatching(message) as string });
  expect(fault?.next).toContain("`tuneup:compute.device` to cpu");
  expect(unusableGpu("cpu", told)).toBeUndefined();
});

it("lets through what torch can use, and what only its own test can tell", () => {
  expect(unusableGpu("auto", facts())).toBeUndefined();
  expect(unusableGpu("auto", facts("Tesla T4"))).toBeUndefined();
  expect(unusableGpu("cuda", facts("NVIDIA H100 80GB HBM3", "535.183.01"))).toBeUndefined();
  // CUDA 12's builds have code for it.
  expect(unusableGpu("auto", facts("Tesla V100-SXM2-16GB", "535.183.01"))).toBeUndefined();
  expect(unusableGpu("auto", facts("A card of tomorrow"))).toBeUndefined();
  const environment = { device: "cuda" } as NonNullable<GpuFacts["environment"]>;
  expect(unusableGpu("auto", facts("Tesla V100-SXM2-16GB", "580.65.06", { environment }))).toBeUndefined();
});
