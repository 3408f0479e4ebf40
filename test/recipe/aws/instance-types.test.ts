import { expect, test } from "vitest";
import { instanceType, instanceTypes, tableSources } from "../../../recipe/aws/instance-types.ts";
import { cards } from "../../../recipe/estimates/cards.ts";

test("every type is of a card that the estimates know, with no more memory than it has", () => {
  expect(instanceTypes.length).toBeGreaterThan(30);
  for (const { name, gpu, gpuMemoryBytes, gpus } of instanceTypes) {
    const card = cards.find((one) => one.name === gpu);
    expect(card, name).toBeDefined();
    expect(gpuMemoryBytes, name).toBeLessThanOrEqual(card!.memoryGiB * 2 ** 30);
    // A wrong unit would be off by far more.
    expect(gpuMemoryBytes, name).toBeGreaterThan(0.98 * card!.memoryGiB * 2 ** 30);
    expect([1, 4, 8]).toContain(gpus);
  }
});

test("they are in the order of their prices, and within a family and a card's count more machine costs more", () => {
  const prices = instanceTypes.map(({ usdPerHour }) => usdPerHour);
  expect(prices).toEqual(prices.toSorted((a, b) => a - b));
  for (const a of instanceTypes) {
    for (const b of instanceTypes) {
      if (a.name.split(".")[0] !== b.name.split(".")[0] || a.gpus !== b.gpus || a.vcpus >= b.vcpus) continue;
      expect(a.usdPerHour, `${a.name} ${b.name}`).toBeLessThan(b.usdPerHour);
      expect(a.ramGiB).toBeLessThan(b.ramGiB);
    }
  }
});

test("what AWS publishes of two well-known types", () => {
  expect(instanceType("g5.xlarge")).toMatchObject({ gpu: "A10G", gpus: 1, vcpus: 4, ramGiB: 16, usdPerHour: 1.006 });
  expect(instanceType("p5.48xlarge")).toMatchObject({ gpu: "H100-80GB", gpus: 8, vcpus: 192, ramGiB: 2048 });
  expect(instanceType("g4dn.metal")).toBeUndefined();
});

test("the table says where it is from and when", () => {
  for (const { date, source } of Object.values(tableSources)) {
    expect(Date.parse(date)).toBeGreaterThan(Date.parse("2026-01-01"));
    expect(source).not.toBe("");
  }
});
