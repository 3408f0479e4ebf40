import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { safetyOf } from "../../hosts/artifact.ts";
import { type FakeBucket, startBucket } from "../fixtures/s3.ts";
import { distantHost } from "../fixtures/distant-host.ts";

const run = "exp-0123456789ab";
const prefix = `out/exp/runs/${run}/`;
const bytes = Buffer.from("weights");
const manifest = {
  schemaVersion: 1,
  run,
  completedAt: "2026-01-01T00:00:00.000Z",
  ...{ attempts: 1, step: 4, totalSteps: 4, trainSeconds: 1, artifact: "adapter" },
  files: [{ path: "adapter_model.safetensors", bytes: bytes.length, sha256: "0".repeat(64) }],
};
const owner = {
  ...{ schemaVersion: 1, generation: 1, holder: "gpu token", checkpoints: [] },
  artifact: { folder: "artifact-g1-token.1", step: 4, files: manifest.files, result: manifest },
};

let bucket: FakeBucket;
beforeEach(async () => {
  bucket = await startBucket(new Map());
  bucket.objects.set(`${prefix}owner.json`, Buffer.from(JSON.stringify(owner)));
  bucket.objects.set(`${prefix}artifact-g1-token.1/adapter_model.safetensors`, bytes);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "AKID");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  vi.stubEnv("AWS_ENDPOINT_URL", bucket.endpoint);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await bucket.close();
});

/** Of a run on another machine, of which nothing is here. */
function safety(more: object = { artifacts: "s3://models/out" }, found: object = manifest) {
  const spec = { experiment: "exp", run, arguments: {}, ...more };
  const host = distantHost("/far", () => ({ status: { state: "complete" }, spec, manifest: found, bytes: 1 }));
  return safetyOf(host, run, "/nowhere");
}

it("an artifact is safe that is whole in the bucket, looked at from this machine", async () => {
  expect(await safety()).toBe("safe");
});

it("it is not where the run publishes nowhere, another result is there, or a file is missing or short", async () => {
  expect(await safety({})).toBe("unsafe");
  expect(await safety({ artifacts: "s3://models/elsewhere" })).toBe("unsafe");
  expect(await safety(undefined, { ...manifest, completedAt: "2026-01-02T00:00:00.000Z" })).toBe("unsafe");
  const key = `${prefix}artifact-g1-token.1/adapter_model.safetensors`;
  bucket.objects.set(key, bytes.subarray(1));
  expect(await safety()).toBe("unsafe");
  bucket.objects.delete(key);
  expect(await safety()).toBe("unsafe");
});

it("it is not where the bucket does not let us look", async () => {
  bucket.refusal = [403, "AccessDenied"];
  expect(await safety()).toBe("unsafe");
});
