import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processesOf } from "./processes.ts";
import { expectSentence } from "./soundness.ts";
import { openStage, type Stage } from "./stage.ts";

/** A handful of the table in test/checks through the real engine: the same errors, at the same keys, and nothing started. */
const name = "tiny";
let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.remove());

test.each<[string, Record<string, unknown>, (string | RegExp)[]]>([
  [
    "a cutoff over the model's positions and a disk that is too small, both at once",
    { train: { cutoff_len: 4096 }, budget: { diskGB: 1 } },
    [/^tuneup:train\.cutoff_len: is 4096, and .* has 2048 positions/m, /^tuneup:budget\.diskGB: is 1 GB, and /m],
  ],
  [
    "a price over the budget",
    { budget: { usd: 0.001 }, compute: { pricePerHour: 1000 }, train: { max_steps: 5000 } },
    [/^tuneup:budget\.usd: is 0\.001 USD, and training costs /m, /1000 USD an hour/],
  ],
  [
    "bf16 on a card that has none",
    { compute: { gpu: "T4" }, train: { bf16: true } },
    [/^tuneup:train\.bf16: needs an Ampere card/m, /train\.fp16: true/],
  ],
])("%s", async (_what, config, texts) => {
  await stage.write(name, 3, config);
  expectSentence(await stage.tuneup("preview", name), ...texts);
  expect(await processesOf(stage.home)).toEqual([]);
  for (const folder of ["runs", "endpoints", "datasets"]) {
    expect(await readdir(join(stage.home, folder)).catch(() => [])).toEqual([]);
  }
});

test("`tuneup check` says the same without Pulumi, and 2 is its exit code", async () => {
  await stage.write(name, 3, { train: { cutoff_len: 4096 } });
  const { code, said } = await stage.tuneup("check", name);
  expect(said).toMatch(/tuneup:train\.cutoff_len: is 4096/);
  expect(code).toBe(2);
  await stage.write(name, 3);
  expect((await stage.tuneup("check", name)).code).toBe(0);
});
