import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureFetched } from "../../../agent/weights/fetch.ts";
import { findInBucket } from "../../../agent/weights/s3.ts";
import { Fault } from "../../../recipe/fault.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import type { CommandInput } from "../../../recipe/protocol.ts";
import { s3AccessOf } from "../../../recipe/s3-access.ts";
import { type FakeBucket, startBucket } from "../../fixtures/s3.ts";
import { outcomeOf, startEnsure } from "../../fixtures/weights-agent.ts";
import { listen } from "../context.ts";
import { fakeModel } from "./fake-model.ts";

const shard = "qwen & co/model-00001-of-00002.safetensors";
// Node may drop the bytes that came with a reset: such a try brings nothing.
const quick = { stallMs: 300, tries: 12, pauseMs: 0 };

let root: string;
let bucket: FakeBucket;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-s3-"));
  const model = await fakeModel(join(root, "model"));
  const names = await readdir(model);
  const files = await Promise.all(
    names.map(async (name) => [`qwen & co/${name}`, await readFile(join(model, name))] as const),
  );
  const others = [
    ["qwen & co/run_me.py", Buffer.from("import os")],
    ["qwen & co/pytorch_model.bin", Buffer.from("pickle")],
    ["pickled/pytorch_model.bin", Buffer.from("pickle")],
    ["pickled/config.json", Buffer.from("{}")],
    ["qwen & company/config.json", Buffer.from("{}")],
  ] as const;
  bucket = await startBucket(new Map([...files, ...others]));
});
afterEach(async () => {
  await bucket.close();
  await rm(root, { recursive: true });
});

async function ensure(more: Partial<CommandInput<"weights-ensure">> = {}, home = "home") {
  const dataDirectory = join(root, home);
  const s3 = s3AccessOf({
    AWS_ACCESS_KEY_ID: "AKIDCANARY",
    AWS_SECRET_ACCESS_KEY: "secret-canary",
    AWS_ENDPOINT_URL: bucket.endpoint,
  });
  const model = { source: "s3" as const, id: "s3://models/qwen & co" };
  const input = { dataDirectory, model, environment: "", s3, ...more };
  const context = listen();
  const find = () => findInBucket(input, context, quick);
  const outcome = await ensureFetched(layoutOf(dataDirectory), input, find, context).catch((thrown: unknown) => thrown);
  if (outcome instanceof Fault) return { fault: outcome, context };
  if (outcome instanceof Error) throw outcome;
  return { result: outcome as Awaited<ReturnType<typeof ensureFetched>>, context };
}

it("fetches the model's files of one folder, signed, says its size, and asks nothing the next time", async () => {
  const { result, context } = await ensure();
  expect(result?.record.files.map(({ path }) => path)).toEqual((await readdir(join(root, "model"))).toSorted());
  expect(result?.record).toMatchObject({ source: "s3", revision: expect.stringMatching(/^[0-9a-f]{40}$/) as string });
  expect(new Set(bucket.signers)).toEqual(new Set(["AKIDCANARY"]));
  expect(context.logged.join()).toMatch(/s3:\/\/models\/qwen & co is [0-9a-f]{12}: 5 files, .*licence/);
  expect(await readdir(result?.path ?? "")).not.toContain(".cache");
  bucket.requests.length = 0;
  expect((await ensure()).result?.created).toBe(false);
  expect(bucket.requests).toEqual([]);
});

describe("a shard that arrives wrong", () => {
  it.each(["cut", "short", "stall", "busy"] as const)("%s once: goes on by itself", async (trouble) => {
    bucket.trouble.set(shard, trouble);
    bucket.times.set(shard, 2);
    expect((await ensure()).result?.created).toBe(true);
  });

  it.each([
    ["busy", "weights-rate-limited"],
    ["other-bytes", "weights-hash"],
    ["forbidden", "weights-forbidden"],
    ["gone", "weights-not-found"],
  ] as const)("%s always: said in a sentence, and the next try mends it", async (trouble, code) => {
    // HEAD is honest: it is the shard that changes between list and download.
    bucket.trouble.set(shard, trouble);
    const { fault } = await ensure();
    expect(fault).toMatchObject({ code });
    bucket.trouble.clear();
    expect((await ensure()).result?.created).toBe(true);
  });

  it("goes on where each connection was cut, by ranges, until all is there", async () => {
    bucket.trouble.set(shard, "cut");
    expect((await ensure()).result?.created).toBe(true);
    const starts = bucket.ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range)?.[1]));
    expect(starts.length).toBeGreaterThan(1);
    expect(starts).toEqual(starts.toSorted((one, other) => one - other));
  });

  it("is fetched alone the next time, when it was another than S3's sha256", async () => {
    bucket.trouble.set(shard, "other-bytes");
    await ensure();
    bucket.trouble.clear();
    bucket.requests.length = 0;
    expect((await ensure()).result?.created).toBe(true);
    const fetched = bucket.requests.filter((request) => request.startsWith("GET") && !request.includes("list-type"));
    expect(fetched).toEqual(["GET /models/qwen%20%26%20co/model-00001-of-00002.safetensors"]);
  });
});

it.each([
  [[403, "AccessDenied"], "weights-forbidden", "AWS_ACCESS_KEY_ID"],
  [[404, "NoSuchBucket"], "weights-not-found", "AWS_ENDPOINT_URL"],
  [[503, "SlowDown"], "weights-rate-limited", "Run it again"],
] as const)("says %j in a sentence", async (refusal, code, next) => {
  bucket.refusal = refusal;
  const { fault } = await ensure();
  expect(fault).toMatchObject({ code, next: expect.stringContaining(next) as string });
  expect(JSON.stringify(fault?.toFacts())).not.toContain("secret-canary");
});

it("says that a bucket can't be reached, has no model, has no revisions, or is no address", async () => {
  const source = "s3" as const;
  expect((await ensure({ model: { source, id: "s3://models/other" } })).fault?.code).toBe("weights-none");
  expect((await ensure({ model: { source, id: "s3://models/pickled" } })).fault?.code).toBe("weights-pickle");
  expect((await ensure({ model: { source, id: "s3:/models" } })).fault?.code).toBe("s3-address");
  const dated = { source, id: "s3://models/qwen & co", revision: "main" };
  expect((await ensure({ model: dated })).fault?.code).toBe("weights-revision");
  await bucket.close();
  expect((await ensure()).fault).toMatchObject({ code: "weights-unreachable", blame: "infrastructure" });
});

it("keeps to its pin: the same files elsewhere, and a fault when they were replaced", async () => {
  const { source, revision } = (await ensure()).result?.record ?? { source: "", revision: "" };
  const pin = { source, revision };
  expect((await ensure({ pin }, "elsewhere")).result?.record.revision).toBe(revision);
  bucket.objects.set("qwen & co/config.json", Buffer.from('{"model_type": "llama"}'));
  expect((await ensure({ pin }, "third")).fault).toMatchObject({ code: "weights-moved" });
});

it("fetches once for two at the same moment", async () => {
  const both = await Promise.all([ensure(), ensure()]);
  expect(both.map(({ result }) => result?.created).toSorted()).toEqual([false, true]);
});

it("goes through a proxy, with credentials in neither argv, environment nor output", async () => {
  const model = { source: "s3" as const, id: "s3://models/qwen & co" };
  const s3 = { accessKeyId: "AKIDCANARY", secretAccessKey: "secret-canary", endpoint: "http://bucket.invalid" };
  const input = { dataDirectory: join(root, "home"), model, environment: "", s3 };
  const messages = await startEnsure(input, { http_proxy: bucket.endpoint, no_proxy: "" }).said;
  expect(outcomeOf(messages)).toMatchObject({ fault: undefined, result: { created: true } });
  expect(JSON.stringify(messages)).not.toContain("canary");
  expect(new Set(bucket.signers)).toEqual(new Set(["AKIDCANARY"]));
});
