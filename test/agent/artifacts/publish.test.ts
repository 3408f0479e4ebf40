import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { filesBelow } from "../../../agent/files.ts";
import { until } from "../runs/harness.ts";
import { prefix, read, released, says, stop, useBucket, wait } from "./published.ts";

const s3 = useBucket();

test("a run publishes its newest checkpoints and its result, and keeps no key", async () => {
  const one = s3.host();
  await s3.trainTo(one, 4);
  // The status is written twice a second at most.
  await until(async () => (await read(one))?.status.published?.step === 4);
  expect((await read(one))?.status.published).toEqual({ address: `s3://models/${prefix}`, step: 4 });
  expect(existsSync(one.paths().access)).toBe(true);
  one.release();
  const { manifest } = await wait(one);
  await released(one);
  expect((await read(one))?.status.published).toMatchObject({ complete: true });
  const shown = s3.json("manifest.json");
  expect(shown.result).toEqual(manifest);
  expect(shown.files.map(({ path }) => path)).toEqual([...manifest.files.map(({ path }) => path), "train.yaml"]);
  s3.expectWhole(shown);
  const { checkpoints } = s3.json("owner.json");
  expect(checkpoints.length).toBeLessThanOrEqual(2);
  for (const checkpoint of checkpoints) s3.expectWhole(checkpoint);
  // Nothing else is there: what was dropped is deleted.
  const folders = new Set([...s3.bucket.objects.keys()].map((key) => key.slice(prefix.length).split("/")[0]));
  const named = ["owner.json", "manifest.json", shown.folder, ...checkpoints.map(({ folder }) => folder)];
  expect([...folders].toSorted()).toEqual(named.toSorted());
  const { directory } = one.paths();
  for (const path of await filesBelow(directory))
    expect(await readFile(join(directory, path), "utf8").catch(() => "")).not.toContain("canary");
  expect(s3.bucket.objects.get(`${prefix}${shown.folder}/train.yaml`)?.toString()).toBe(
    readFileSync(one.paths().config, "utf8"),
  );
});

test("another host goes on from the newest checkpoint, and a third one finds the run finished", async () => {
  const [one, two, three] = [s3.host(), s3.host(), s3.host()];
  await s3.trainTo(one, 4);
  await stop(one);
  two.plan({ steps: 8 });
  await s3.declare(two);
  const { manifest } = await wait(two);
  await released(two);
  expect(two.events().find(({ kind }) => kind === "attempt")?.message).toBe("attempt 1, from the checkpoint at step 4");
  three.plan({ steps: 8 });
  await s3.declare(three);
  expect((await wait(three)).manifest).toEqual(manifest);
  await released(three);
  expect(three.events().filter(({ kind }) => kind === "attempt")).toEqual([]);
  expect((await read(three))?.damage).toBeUndefined();
  expect((await read(three))?.status).toMatchObject({ state: "complete", step: 8, totalSteps: 8, loss: 0.25 });
  s3.expectWhole(s3.json("manifest.json"));
  // Nobody publishes again what is there.
  const before = s3.bucket.requests.length;
  expect((await s3.declare(three)).state).toBe("complete");
  expect([three.started.length, s3.bucket.requests.length]).toEqual([1, before]);
});

test("a host that has a checkpoint takes that of the bucket only where it is further", async () => {
  const [one, two] = [s3.host(), s3.host()];
  await s3.trainTo(one, 6);
  await stop(one);
  two.plan({ steps: 8, hold: 2 });
  await s3.declare(two, { artifacts: undefined });
  await two.held();
  await stop(two);
  two.plan({ steps: 8 });
  await s3.declare(two);
  await wait(two);
  const attempts = two.events().filter(({ kind }) => kind === "attempt");
  expect(attempts.at(-1)?.message).toBe("attempt 2, from the checkpoint at step 6");
});

test.each([
  ["changed", "adapter_model.safetensors was changed"],
  ["torn", "adapter_model.safetensors has 3 bytes instead of"],
  ["missing", "adapter_model.safetensors is missing"],
] as const)("a checkpoint that is %s is named, and the one before is taken", async (what, why) => {
  const [one, two] = [s3.host(), s3.host()];
  for (const step of [2, 4]) {
    await s3.trainTo(one, step);
    await stop(one);
  }
  const { checkpoints } = s3.json("owner.json");
  const newest = checkpoints.at(-1);
  expect(checkpoints.length).toBe(2);
  const key = `${prefix}${newest?.folder ?? ""}/adapter_model.safetensors`;
  const bytes = s3.bucket.objects.get(key) ?? Buffer.alloc(0);
  if (what === "missing") s3.bucket.objects.delete(key);
  else s3.bucket.objects.set(key, what === "torn" ? bytes.subarray(0, 3) : Buffer.alloc(bytes.length, 1));
  two.plan({ steps: 8 });
  await s3.declare(two);
  await wait(two);
  expect(says(two, `${newest?.folder ?? "?"} is not used: ${why}`)).toBe(true);
  expect(two.events().find(({ kind }) => kind === "attempt")?.message).toBe("attempt 1, from the checkpoint at step 2");
});

test("a manifest that leads out of the run's folder is not followed", async () => {
  const [one, two] = [s3.host(), s3.host()];
  await s3.trainTo(one, 4);
  await stop(one);
  const owner = s3.json("owner.json");
  const [checkpoint] = owner.checkpoints.slice(-1);
  const evil = { ...checkpoint, files: [{ ...checkpoint?.files[0], path: "../../../escaped" }] };
  s3.bucket.objects.set(`${prefix}owner.json`, Buffer.from(JSON.stringify({ ...owner, checkpoints: [evil] })));
  two.plan({ steps: 4 });
  await s3.declare(two);
  await wait(two);
  expect(says(two, "../../../escaped leads out of it")).toBe(true);
  expect(two.events().find(({ kind }) => kind === "attempt")?.message).toBe("attempt 1, from the start");
});

test("a bucket that refuses is told in one sentence, the run goes on, and the next `up` publishes it", async () => {
  const one = s3.host();
  one.plan({ steps: 8 });
  s3.bucket.refusal = [403, "AccessDenied"];
  await s3.declare(one);
  await wait(one);
  await released(one);
  const faults = one.events().filter(({ kind }) => kind === "fault");
  expect(faults.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^storage\.artifacts: The bucket models refuses us \(HTTP 403, AccessDenied\)\. Set AWS_ACCESS_KEY_ID/,
    ),
  ]);
  expect((await read(one))?.status).toMatchObject({
    state: "complete",
    published: { fault: { code: "artifacts-forbidden" } },
  });
  expect(existsSync(one.paths().access)).toBe(false);
  expect([...s3.bucket.objects]).toEqual([]);
  s3.bucket.refusal = undefined;
  expect((await s3.declare(one)).state).toBe("complete");
  await until(() => says(one, "the artifact is in s3://models/"));
  await released(one);
  s3.expectWhole(s3.json("manifest.json"));
  const { status } = (await read(one)) ?? {};
  expect(status?.published).toEqual({ address: `s3://models/${prefix}`, complete: true });
  expect(one.events().filter(({ kind }) => kind === "attempt")).toHaveLength(1);
});

test("a run that fails waits for no upload: it can be declared again at once", async () => {
  const one = s3.host();
  const gate = { open: (): void => undefined };
  const held = new Promise<void>((resolve) => (gate.open = resolve));
  s3.bucket.beforeWrite = (_method, key) => (key.endsWith("/adapter_config.json") ? held : undefined);
  const fault = { type: "ValueError", message: "of the user's" };
  one.plan({ steps: 8, hold: 2, troubles: [{ attempts: [1], step: 3, fault }] });
  await s3.declare(one);
  await one.held();
  await until(() => s3.bucket.requests.some((request) => /^PUT .*checkpoint-2-.*adapter_config/.test(request)));
  one.release();
  await expect(wait(one)).rejects.toMatchObject({ code: "training-failed" });
  await released(one);
  expect(existsSync(one.paths().access)).toBe(false);
  gate.open();
  await s3.declare(one);
  await wait(one);
  await released(one);
  s3.expectWhole(s3.json("manifest.json"));
});

test("a host without keys and without a role says so", async () => {
  const one = s3.host();
  one.plan({ steps: 2 });
  await s3.declare(one, {}, { endpoint: s3.bucket.endpoint });
  await wait(one);
  await released(one);
  expect((await read(one))?.status.published).toMatchObject({ fault: { code: "artifacts-credentials" } });
  expect(s3.bucket.requests).toEqual([]);
});

test("a supervisor that was killed is followed by one that publishes on", async () => {
  const one = s3.host();
  await s3.trainTo(one, 4);
  process.kill((await one.supervisorPid()) ?? 0, "SIGKILL");
  await released(one);
  one.plan({ steps: 8 });
  await wait(one);
  await released(one);
  expect(s3.json("manifest.json").generation).toBe(2);
  s3.expectWhole(s3.json("manifest.json"));
});

test("rights below the prefix alone will do, where S3 says 403 of what is not there", async () => {
  const one = s3.host();
  s3.bucket.hides = true;
  one.plan({ steps: 8 });
  await s3.declare(one);
  await wait(one);
  await released(one);
  expect((await read(one))?.status.published).toMatchObject({ complete: true });
  s3.expectWhole(s3.json("manifest.json"));
});

test("what is not ours is never written over", async () => {
  const one = s3.host();
  s3.bucket.objects.set(`${prefix}owner.json`, Buffer.from("somebody's notes"));
  one.plan({ steps: 4 });
  await s3.declare(one);
  await wait(one);
  await released(one);
  expect([...s3.bucket.objects].map(([key, bytes]) => [key, bytes.toString()])).toEqual([
    [`${prefix}owner.json`, "somebody's notes"],
  ]);
  expect((await read(one))?.status.published).toMatchObject({ fault: { code: "artifacts-unreadable" } });
});
