import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isLocked } from "../../agent/lock.ts";
import { runCurve, runDeclare, runRead, runStop, runWait } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { FileDigest, RunEvent } from "../../recipe/lifecycle.ts";
import { collect, killRun, linesOf, until } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { type FakeBucket, startBucket } from "../fixtures/s3.ts";
import { tinySpec, type TinyStage, tinyStage } from "./tiny-run.ts";

const run = "tiny-1";
const steps = 12;
let test_: TestHome;
let bucket: FakeBucket;
let stage: TinyStage;
let homes: string[];

beforeAll(async () => {
  test_ = await makeTestHome();
  bucket = await startBucket(new Map());
  stage = await tinyStage(test_.home);
  homes = [join(test_.home, "one"), join(test_.home, "two")];
});

afterAll(async () => {
  for (const home of homes) await killRun(pathsIn(home));
  await bucket.close();
  await test_.remove();
});

const pathsIn = (home: string) => runPaths(layoutOf(home), run);
const eventsIn = (home: string) => linesOf<RunEvent>(pathsIn(home).events);

function declare(dataDirectory: string) {
  const train = {
    ...{ cutoff_len: 64, per_device_train_batch_size: 2, max_steps: steps, save_steps: 4 },
    ...{ save_total_limit: 2, plot_loss: true },
  };
  const spec = { ...tinySpec(stage, { run, dataDirectory, train }), artifacts: "s3://models/out" };
  const s3 = { accessKeyId: "AKID", secretAccessKey: "secret", endpoint: bucket.endpoint };
  return runDeclare({ dataDirectory, spec, s3 }, collect());
}

test("what one host has published another one goes on from, with its optimizer, to a result that is whole in the bucket", async () => {
  const [one = "", two = ""] = homes;
  await declare(one);
  await until(() => eventsIn(one).some(({ message }) => /^the checkpoint at step \d+ is in s3:/.test(message)));
  await runStop({ dataDirectory: one, run }, collect());
  const { status } = (await runRead({ dataDirectory: one, run }, collect())) ?? {};
  const step = status?.published?.step ?? 0;
  expect(step).toBeGreaterThan(0);

  await declare(two);
  const { manifest } = await runWait({ dataDirectory: two, run }, collect());
  await until(() => !isLocked(pathsIn(two).lock));
  const attempts = eventsIn(two).filter(({ kind }) => kind === "attempt");
  expect(attempts.map(({ message }) => message)).toEqual([`attempt 1, from the checkpoint at step ${step}`]);
  const { metrics } = await runCurve({ dataDirectory: two, run }, collect());
  expect(metrics.map((metric) => metric.step)).toEqual(Array.from({ length: steps - step }, (_, i) => step + 1 + i));
  // The scheduler went on: what is left of the learning rate at the last step is as in one training without a break.
  expect(metrics.at(-1)?.learningRate).toBeLessThan(1e-3 / 4);

  const prefix = `out/tiny/runs/${run}/`;
  const text = bucket.objects.get(`${prefix}manifest.json`)?.toString("utf8") ?? "null";
  const shown = JSON.parse(text) as { generation: number; folder: string; files: FileDigest[]; result: unknown };
  expect([shown.generation, shown.result]).toEqual([2, manifest]);
  for (const { path, sha256 } of shown.files) {
    const bytes = bucket.objects.get(`${prefix}${shown.folder}/${path}`) ?? Buffer.alloc(0);
    expect([path, createHash("sha256").update(bytes).digest("hex")]).toEqual([path, sha256]);
  }
});
