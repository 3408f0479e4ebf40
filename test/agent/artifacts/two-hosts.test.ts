import { expect, test } from "vitest";
import { until } from "../runs/harness.ts";
import { read, released, says, useBucket, wait } from "./published.ts";

const s3 = useBucket();

test("a host that is overtaken while its publication is on the way learns it, and publishes nothing any more", async () => {
  const [older, newer] = [s3.host(), s3.host()];
  let arrived = (): void => undefined;
  let go = (): void => undefined;
  const waiting = new Promise<void>((resolve) => (arrived = resolve));
  const gate = new Promise<void>((resolve) => (go = resolve));
  let writes = 0;
  s3.bucket.beforeWrite = async (method, key) => {
    // The first one took the run, the second one names the checkpoint whose files are there.
    if (method !== "PUT" || !key.endsWith("/owner.json") || ++writes !== 2) return;
    arrived();
    await gate;
  };
  older.plan({ steps: 8, hold: 4, saveEvery: 4 });
  await s3.declare(older);
  await waiting;
  newer.plan({ steps: 8 });
  await s3.declare(newer);
  await wait(newer);
  await released(newer);
  go();
  await until(() => says(older, "This run is published by another host now"));
  const before = s3.bucket.written.length;
  older.release();
  await wait(older);
  await released(older);
  expect(s3.bucket.written.slice(before)).toEqual([]);
  const shown = s3.json("manifest.json");
  expect([shown.generation, shown.result]).toEqual([2, (await read(newer))?.manifest]);
  s3.expectWhole(shown);
  for (const checkpoint of s3.json("owner.json").checkpoints) s3.expectWhole(checkpoint);
  expect((await read(older))?.status).toMatchObject({
    state: "complete",
    published: { fault: { code: "artifacts-overtaken" } },
  });
  expect((await read(older))?.status.published?.complete).toBeUndefined();
});

test("a supervisor that was stopped, overtaken by another host and woken publishes nothing", async () => {
  const [older, newer] = [s3.host(), s3.host()];
  await s3.trainTo(older, 4);
  const pid = (await older.supervisorPid()) ?? 0;
  process.kill(pid, "SIGSTOP");
  // Its trainer goes on to the end meanwhile.
  older.release();
  newer.plan({ steps: 8 });
  await s3.declare(newer);
  await wait(newer);
  await released(newer);
  const before = s3.bucket.written.length;
  const objects = new Map(s3.bucket.objects);
  process.kill(pid, "SIGCONT");
  await until(() => says(older, "This run is published by another host now"));
  await released(older);
  expect(s3.bucket.written.slice(before)).toEqual([]);
  expect(s3.bucket.objects).toEqual(objects);
  expect(s3.json("manifest.json")).toMatchObject({ generation: 2, result: (await read(newer))?.manifest });
  s3.expectWhole(s3.json("manifest.json"));
});

test("two hosts that begin at the same moment have different generations", async () => {
  const [one, two] = [s3.host(), s3.host()];
  for (const each of [one, two]) each.plan({ steps: 8 });
  await Promise.all([s3.declare(one), s3.declare(two)]);
  await Promise.all([wait(one), wait(two)]);
  await Promise.all([released(one), released(two)]);
  expect(s3.json("owner.json").generation).toBe(2);
  s3.expectWhole(s3.json("manifest.json"));
  const results = [(await read(one))?.manifest, (await read(two))?.manifest];
  expect(results).toContainEqual(s3.json("manifest.json").result);
});
