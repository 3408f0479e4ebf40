import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBucket } from "../../../agent/s3/bucket.ts";
import { instanceRole } from "../../../agent/s3/instance-role.ts";
import { deleteBelow, uploadFile } from "../../../agent/s3/upload.ts";
import { type FakeBucket, startBucket } from "../../fixtures/s3.ts";

const quick = { requestMs: 5000, tries: 3, pauseMs: 0 };
const never = new AbortController().signal;
let folder: string;
let fake: FakeBucket;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-upload-"));
  fake = await startBucket(new Map());
});
afterEach(async () => {
  await fake.close();
  await rm(folder, { recursive: true });
});

const open = () =>
  openBucket("models", { accessKeyId: "AKIDCANARY", secretAccessKey: "s", endpoint: fake.endpoint }, "artifacts");

async function file(name: string, bytes: Buffer) {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return { path, key: `a b/${name}`, bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

test.each([
  ["empty", 0],
  ["small", 1000],
  ["in three parts", 40_000_000],
])("a file that is %s arrives as it is, signed, and its digest is told", async (name, size) => {
  const { path, key, bytes, sha256 } = await file(name, randomBytes(size));
  expect(await uploadFile(open(), { path, key }, never, quick)).toEqual({ bytes: size, sha256 });
  expect(fake.objects.get(key)?.equals(bytes)).toBe(true);
  expect(new Set(fake.signers)).toEqual(new Set(["AKIDCANARY"]));
});

test("what is busy is tried again, from the part that it was busy at; what is refused is not", async () => {
  const { path, key, bytes } = await file("parts", randomBytes(20_000_000));
  let writes = 0;
  fake.beforeWrite = () => {
    writes += 1;
    // After the first part.
    if (writes === 2) fake.refusals.push([503, "SlowDown"], [500, "InternalError"]);
  };
  await uploadFile(open(), { path, key }, never, quick);
  expect(fake.refusals).toEqual([]);
  expect(fake.objects.get(key)?.equals(bytes)).toBe(true);
  expect(fake.requests.filter((request) => request.includes("partNumber=1"))).toHaveLength(1);
  expect(fake.requests.filter((request) => request.includes("partNumber=2"))).toHaveLength(3);
  fake.requests.length = 0;
  fake.refusal = [403, "AccessDenied"];
  await expect(uploadFile(open(), { path, key }, never, quick)).rejects.toMatchObject({
    code: "artifacts-forbidden",
    property: "storage.artifacts",
    message: "The bucket models refuses us (HTTP 403, AccessDenied).",
  });
  expect(fake.requests).toHaveLength(1);
});

test("all below a prefix is deleted, and nothing beside it", async () => {
  for (const key of ["a/1", "a/2", "a/b/3", "ab/4"]) fake.objects.set(key, Buffer.from(key));
  await deleteBelow(open(), "a/", never);
  expect([...fake.objects.keys()]).toEqual(["ab/4"]);
});

test("the machine's role gives keys by IMDSv2, and new ones before they end", async () => {
  const asked: string[] = [];
  const answers: Record<string, string> = {
    "PUT /latest/api/token": "token-1",
    "GET /latest/meta-data/iam/security-credentials/": "tuneup-role",
  };
  const server = createServer(({ method = "", url = "", headers }, response) => {
    asked.push(`${method} ${url}`);
    const isAllowed = method === "PUT" || headers["x-aws-ec2-metadata-token"] === "token-1";
    const count = asked.filter((one) => one.endsWith("/tuneup-role")).length;
    const keys = { AccessKeyId: `AKID${count}`, SecretAccessKey: "s", Token: "t" };
    // The first ones end within the five minutes in which there are new ones.
    const Expiration = new Date(Date.now() + (count === 1 ? 200_000 : 3_600_000)).toISOString();
    response.statusCode = isAllowed ? 200 : 401;
    response.end(answers[`${method} ${url}`] ?? JSON.stringify({ ...keys, Expiration }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    expect(await instanceRole()).toEqual({ accessKeyId: "AKID1", secretAccessKey: "s", sessionToken: "t" });
    expect(await instanceRole()).toMatchObject({ accessKeyId: "AKID2" });
    expect(await instanceRole()).toMatchObject({ accessKeyId: "AKID2" });
    expect(asked).toHaveLength(6);
  } finally {
    delete process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
    server.close();
  }
});
