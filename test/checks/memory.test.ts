import { expect, test } from "vitest";
import type { HostFacts } from "../../checks/hardware.ts";
import { resourceFindings } from "../../checks/resources.ts";
import { readExperiment } from "../../recipe/experiment.ts";
import { parseGpus } from "../../recipe/gpus.ts";

const host: HostFacts = {
  platform: "linux",
  arch: "x64",
  python: null,
  memoryBytes: 25.3e9,
  diskFreeBytes: 1e12,
  environment: null,
  gpus: [],
};

type Values = Readonly<Record<string, unknown>>;

/** What is found out about Qwen2.5-7B, or `more`. */
async function found(train: Values, facts: Partial<HostFacts> = {}, more: Values = {}) {
  const { experiment, faults } = readExperiment({
    model: { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" },
    datasets: [{ builtin: "general" }],
    train: { template: "qwen", ...train },
    ...more,
  });
  if (experiment === undefined) throw new Error(JSON.stringify(faults));
  return resourceFindings(experiment, { home: "/nowhere", host: { ...host, ...facts } });
}

const gigabytesOf = (text: string): number[] => [...text.matchAll(/\(([\d.]+) GB\)/g)].map(([, size]) => Number(size));

test("what may be too much on a CPU is told with what is always there, and never as close to a smaller limit", async () => {
  const memory = (await found({ per_device_train_batch_size: 8, cutoff_len: 1024 })).find(
    ({ area }) => area === "memory",
  );
  expect(memory).toMatchObject({ level: "warning", code: "memory-tight" });
  expect(memory?.figure).toBeGreaterThan(memory?.limit ?? Infinity);
  expect(memory?.message).toMatch(
    /^training may need up to [\d.]+ GB .* 15\.\d GB of it are always there, and the CPU has 25\.3 GB/,
  );
  expect(memory?.message).not.toContain("close");
});

test("too little disk is an error with the smaller of budget and room, and each proposal fits", async () => {
  const full = { finetuning_type: "full", cutoff_len: 512, save_steps: 10, max_steps: 100 };
  const h200 = { gpus: parseGpus("0, GPU-1, NVIDIA H200, 143771, 580.159"), diskFreeBytes: 150e9 };
  const disk = (await found(full, h200, { budget: { diskGB: 400 } })).filter(({ area }) => area === "disk");
  expect(disk).toHaveLength(1);
  const [error] = disk;
  expect(error).toMatchObject({ level: "error", code: "disk-free", property: "storage.dataDirectory", limit: 150e9 });
  const sizes = gigabytesOf(error?.next ?? "");
  expect(sizes.length).toBeGreaterThan(0);
  for (const size of sizes) expect(size).toBeLessThanOrEqual(150);
  // One checkpoint fewer is not enough: nothing that does not help is proposed.
  expect(error?.next).not.toMatch(/fits, cheapest first: `train\.save_total_limit: 1` \(/);
});

test("what lies there already is counted off", async () => {
  const train = { finetuning_type: "lora", cutoff_len: 512 };
  const disk = async (facts: Partial<HostFacts>) => (await found(train, facts)).find(({ area }) => area === "disk");
  expect(await disk({ diskFreeBytes: 19e9 })).toMatchObject({ level: "error", code: "disk-free" });
  const environment = { lock: "0" } as unknown as HostFacts["environment"];
  expect(await disk({ diskFreeBytes: 19e9, environment })).toMatchObject({ level: "ok" });
});

test("over budget with room on the disk, raising it is one way", async () => {
  const disk = (
    await found({ finetuning_type: "full", cutoff_len: 512 }, { diskFreeBytes: 2e12 }, { compute: { gpu: "H200" } })
  ).find(({ code }) => code === "disk-budget");
  expect(disk?.next).toMatch(/raise the budget/);
  for (const size of gigabytesOf(disk?.next ?? "")) expect(size).toBeLessThanOrEqual(100);
});

test("on another machine the weights may lie there already, so that alone is no error", async () => {
  const ssh = { target: "ssh", compute: { host: "gpu" } };
  const disk = (await found({}, { diskFreeBytes: 10e9 }, ssh)).find(({ code }) => code === "disk-free");
  expect(disk).toMatchObject({ level: "warning" });
  expect(disk?.message).toMatch(/can't be seen from here/);
});
