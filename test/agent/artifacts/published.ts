import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect } from "vitest";
import { isLocked } from "../../../agent/lock.ts";
import { runRead, runStop } from "../../../agent/runs/commands.ts";
import type { FileDigest } from "../../../recipe/lifecycle.ts";
import type { RunSpec } from "../../../recipe/protocol.ts";
import { type FakeBucket, startBucket } from "../../fixtures/s3.ts";
import { collect, makeHost, until } from "../runs/harness.ts";

export const run = "mine-1";
/** Where it is published in the bucket. */
export const prefix = "out/mine/runs/mine-1/";
export type TestHost = ReturnType<typeof makeHost>;

/** A manifest, or owner.json, as it is in the bucket. */
export interface Shown {
  readonly generation: number;
  readonly folder: string;
  readonly files: readonly FileDigest[];
  readonly result: unknown;
  readonly checkpoints: readonly { folder: string; step: number; files: readonly FileDigest[] }[];
}

/** A bucket, and machines of their own that publish there; new ones for each test. */
export function useBucket() {
  let bucket: FakeBucket;
  let hosts: TestHost[];
  beforeEach(async () => {
    bucket = await startBucket(new Map());
    hosts = [];
  });
  afterEach(async () => {
    bucket.beforeWrite = () => undefined;
    for (const host of hosts) await host.clean();
    await bucket.close();
  });
  const keys = () => ({ accessKeyId: "AKIDCANARY", secretAccessKey: "secret-canary", endpoint: bucket.endpoint });
  const declare = async (on: TestHost, more: Partial<RunSpec> = {}, s3: object = keys()) => {
    const spec = on.spec(run, { artifacts: "s3://models/out", ...more });
    return (await on.runDeclare({ dataDirectory: on.dataDirectory, spec, s3 }, collect())).status;
  };
  return {
    get bucket() {
      return bucket;
    },
    /** No metadata service answers on it, unless `environment` names one. */
    host: (environment: Readonly<Record<string, string>> = {}): TestHost => {
      const made = makeHost({ AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:1", ...environment });
      hosts.push(made);
      return made;
    },
    declare,
    json: (name: string) => JSON.parse(bucket.objects.get(prefix + name)?.toString("utf8") ?? "null") as Shown,
    /** Trains up to the step after which it waits, until that checkpoint is in the bucket. */
    trainTo: async (on: TestHost, step: number): Promise<void> => {
      on.plan({ steps: 8, hold: step });
      await declare(on);
      await on.held();
      await until(() => says(on, `the checkpoint at step ${step} is in s3://models/`));
    },
    /** Every file of a manifest is in the bucket, as the manifest says. */
    expectWhole: ({ folder, files }: Pick<Shown, "folder" | "files">): void => {
      for (const { path, bytes, sha256 } of files) {
        const object = bucket.objects.get(`${prefix}${folder}/${path}`) ?? Buffer.from("missing");
        const digest = createHash("sha256").update(object).digest("hex");
        expect([path, object.length, digest]).toEqual([path, bytes, sha256]);
      }
    },
  };
}

export const wait = (on: TestHost) => on.runWait({ dataDirectory: on.dataDirectory, run }, collect());
export const read = (on: TestHost) => runRead({ dataDirectory: on.dataDirectory, run }, collect());
export const stop = (on: TestHost) => runStop({ dataDirectory: on.dataDirectory, run }, collect());
export const released = (on: TestHost) => until(() => !isLocked(on.paths().lock));
export const says = (on: TestHost, text: string) => on.events().some(({ message }) => message.includes(text));
