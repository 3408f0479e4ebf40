import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { until } from "./gateway-fixture.ts";
import { startGatewayProcess } from "./gateway-process.ts";
import { runLoad } from "./load.ts";

const megabyte = 1024 ** 2;

it("200 clients at queue limits leave no descriptor, no generation and no memory behind; every one is answered", async () => {
  await using gateway = await startGatewayProcess({
    limits: { requestsPerMinute: 10_000_000, queue: 16, bodyBytes: 20_000, maxTokens: 64 },
    behaviour: { pieceDelay: 2 },
    places: 4,
  });
  const quiet = async (): Promise<void> => {
    await until(async () => (await (await fetch(`${gateway.url}/metrics`)).text()).includes("requests_in_flight 1\n"));
    await until(() => gateway.generations() === 0);
  };
  await runLoad(gateway, { clients: 200, requests: 1000, seed: 1 });
  await quiet();
  const before = { memory: await gateway.memory(), descriptors: gateway.descriptors() };
  const figures = await runLoad(gateway, { clients: 200, requests: 3000, seed: 2 });
  await quiet();
  expect(figures.wrong).toEqual([]);
  const { sent, answered, full, unready, refused, left } = figures;
  expect(answered + full + unready + refused + left).toBe(sent);
  // Each kind did happen.
  for (const count of [answered, full, refused, left]) expect(count).toBeGreaterThan(20);
  expect(unready).toBe(0);
  await until(() => gateway.descriptors() <= before.descriptors);
  const { heapUsed, external } = await gateway.memory();
  expect(heapUsed + external - before.memory.heapUsed - before.memory.external).toBeLessThan(3 * megabyte);
  expect(gateway.isOver()).toBe(false);
  // A line a request: nothing failed inside, and nothing was thrown.
  const lines = readFileSync(gateway.log, "utf8").split("\n");
  expect(lines.filter((line) => /completions 5\d\d |\.ts:\d/.test(line))).toEqual([]);
});
