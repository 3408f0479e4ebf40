import { expect, test } from "vitest";
import { provisionOf } from "../../../recipe/aws/provision.ts";
import { readExperiment } from "../../../recipe/experiment.ts";

function provision(changes: Readonly<Record<string, unknown>>) {
  const { experiment, faults } = readExperiment({
    target: "aws",
    model: { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" },
    datasets: [{ builtin: "identity", name: "Ada", author: "us" }],
    train: { template: "qwen", cutoff_len: 1024, bf16: true, per_device_train_batch_size: 1 },
    ...changes,
  });
  if (experiment === undefined) throw new Error(JSON.stringify(faults));
  return provisionOf(experiment);
}

test("takes the cheapest machine that fits, and a volume by the estimate", () => {
  expect(provision({})).toEqual({ instanceType: "g6.xlarge", volumeGiB: 30, leaseHours: 24 });
});

test("takes what the file says before what is cheaper", () => {
  const aws = { instanceTypes: ["g4dn.xlarge", "g6e.xlarge", "g6.xlarge"], volume: { sizeGiB: 80 } };
  expect(provision({ aws })).toMatchObject({ instanceType: "g6e.xlarge", volumeGiB: 80 });
});

test("refuses where nothing fits", () => {
  expect(() => provision({ aws: { instanceTypes: ["g4dn.xlarge"] } })).toThrow(/no known instance type fits/);
});

test.each([
  [{}, /config.json is not bundled/],
  [{ instanceTypes: ["g6.xlarge"] }, /config.json is not bundled/],
])("of a model that nobody knows here, the file says machine and disk: %j is not enough", (aws, sentence) => {
  expect(() => provision({ aws, model: { source: "hub", id: "some/other" } })).toThrow(sentence);
});

test("of a model that nobody knows here, what the file says is taken", () => {
  const model = { source: "hub", id: "some/other" };
  const volume = { sizeGiB: 100 };
  expect(provision({ aws: { instanceTypes: ["g6.xlarge"], volume }, model })).toMatchObject({
    instanceType: "g6.xlarge",
    volumeGiB: 100,
  });
  expect(provision({ aws: { gpuMemoryGiB: 40, volume }, model }).instanceType).toBe("g6e.xlarge");
  // It has no bf16.
  expect(() => provision({ aws: { instanceTypes: ["g4dn.xlarge"], volume }, model })).toThrow(/no known instance type/);
});

test("the lease ends when the money is spent on all that is billed, if that comes first", () => {
  const machine = { instanceTypes: ["g6.xlarge"], volume: { sizeGiB: 73 }, egress: "none" };
  // Machine, three endpoints, and the volume's share of a month.
  const hour = 0.8048 + 3 * 0.01 + (73 * 0.08) / 730;
  const hours = (lease: object) => provision({ aws: { ...machine, lease } }).leaseHours;
  expect(hours({ hours: 10, usd: 100 })).toBe(10);
  expect(hours({ hours: 10, usd: 2 * hour + 0.001 })).toBe(2);
  expect(hours({ hours: 10, usd: 2 * hour - 0.001 })).toBeCloseTo(2 - 1 / 60);
  const compute = { pricePerHour: 4 * 0.8048 };
  expect(provision({ aws: { ...machine, lease: { usd: 10 } }, compute }).leaseHours).toBeLessThan(10 / (4 * 0.8048));
});
