import { expect, test } from "vitest";
import { costOf } from "../../../recipe/aws/prices.ts";

const bare = { machineHour: 1, volumeGiB: 100, volumeType: "gp3", publicChat: false, ownVpc: false } as const;

test("a machine and its volume", () => {
  expect(costOf(bare)).toMatchObject({ month: 738, kept: 8, parts: { machine: 730, volume: 8 } });
  expect(costOf(bare).hour).toBeCloseTo(1 + 8 / 730);
  expect(costOf({ ...bare, volumeType: "gp2" }).kept).toBe(10);
});

test("each other thing adds its own, and only where it is used", () => {
  const month = (more: object): number => costOf({ ...bare, ...more }).month - costOf(bare).month;
  expect(month({ ownVpc: true })).toBeCloseTo(3 * 7.3);
  // The balancer, one unit of capacity, an address in each of two zones.
  expect(month({ publicChat: true })).toBeCloseTo((0.0225 + 0.008 + 0.01) * 730);
  // With the address of its own.
  expect(month({ nat: true })).toBeCloseTo(0.05 * 730);
  expect(month({ cluster: true })).toBeCloseTo(73);
  expect(Object.keys(costOf({ ...bare, ownVpc: true, publicChat: true, cluster: true }).parts)).toEqual([
    ...["machine", "load balancer", "endpoints", "control plane", "volume"],
  ]);
});

test("the network is billed as long as the stack is there, the volume until it is deleted", () => {
  const { ended, kept } = costOf({ ...bare, ownVpc: true, nat: true });
  expect(ended).toBeCloseTo((0.03 + 0.05) * 730 + 8);
  expect(kept).toBe(8);
});

test("the parts are the whole", () => {
  const { parts, month } = costOf({ ...bare, ownVpc: true, publicChat: true, cluster: true });
  expect(Object.values(parts).reduce((sum, usd) => sum + usd, 0)).toBeCloseTo(month);
});
