import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Claim } from "../../agent/artifacts/claim.ts";
import { listObjects, openBucket } from "../../agent/s3/bucket.ts";
import { downloadObject } from "../../agent/s3/download.ts";
import { deleteBelow, uploadFile } from "../../agent/s3/upload.ts";
import { sha256OfFile } from "../../agent/files.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { type Moto, startMoto } from "./moto.ts";

// The bucket of test/fixtures/s3.ts is ours; the emulator is somebody else's reading of the same rules.
let home: TestHome;
let moto: Moto;
beforeAll(async () => {
  home = await makeTestHome();
  moto = await startMoto(home.home);
});
afterAll(async () => {
  await moto.stop();
  await home.remove();
});

const never = new AbortController().signal;
const keys = { accessKeyId: "test", secretAccessKey: "test", region: "us-east-1" };

test("claims, conditional publications and files in parts do what they do on the emulator", async () => {
  const bucket = openBucket("tuneup-artifacts", { ...keys, endpoint: moto.address }, "artifacts");
  expect((await bucket.request("PUT", "", { signal: never })).status).toBe(200);
  const place = { bucket, prefix: "out/mine/runs/mine-1/", address: "s3://tuneup-artifacts/out/mine/runs/mine-1/" };
  const [older, newer] = [new Claim(place, "one", "1111"), new Claim(place, "two", "2222")];
  expect((await older.take(never)).generation).toBe(1);
  const checkpoint = { folder: "checkpoint-2-g1-1111.1", step: 2, files: [] };
  await older.commit((record) => ({ ...record, checkpoints: [checkpoint] }), never);
  const taken = await newer.take(never);
  expect([taken.generation, taken.checkpoints]).toEqual([2, [checkpoint]]);
  await expect(older.commit((record) => ({ ...record, checkpoints: [] }), never)).rejects.toMatchObject({
    code: "artifacts-overtaken",
    message: expect.stringContaining("two 2222 publishes it (generation 2)") as string,
  });
  await expect(older.take(never)).rejects.toMatchObject({ code: "artifacts-overtaken" });
  expect((await newer.commit((record) => record, never)).checkpoints).toEqual([checkpoint]);

  const path = join(home.home, "weights");
  await writeFile(path, randomBytes(40_000_000));
  const sent = await uploadFile(bucket, { path, key: `${place.prefix}artifact/weights` }, never);
  expect(sent).toEqual({ bytes: 40_000_000, sha256: await sha256OfFile(path) });
  const [object] = await listObjects(bucket, `${place.prefix}artifact/`, never);
  if (object === undefined) throw new Error("It is not there.");
  const target = join(home.home, "weights.back");
  await downloadObject(bucket, { object, target, partial: `${target}.partial` }, never);
  expect(await sha256OfFile(target)).toBe(sent.sha256);
  await deleteBelow(bucket, `${place.prefix}artifact/`, never);
  expect(await listObjects(bucket, `${place.prefix}artifact/`, never)).toEqual([]);
});
