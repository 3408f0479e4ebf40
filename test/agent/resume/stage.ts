import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";
import { resumePlaceFile } from "../../../recipe/resume-plan.ts";
import { type FakeBucket, startBucket } from "../../fixtures/s3.ts";

/** Where machines leave what the next one goes on by. */
export const address = "s3://models/out/mine/runs/machine/1764345600/";
export const prefix = address.slice("s3://models/".length);

const role = {
  AccessKeyId: "ASIACANARY",
  SecretAccessKey: "secret-canary",
  Token: "token-canary",
  Expiration: "2999-01-01T00:00:00Z",
};

/** A bucket, the metadata service of machines with a role, and data directories of such machines; new ones for each test. */
export function useMachines() {
  let bucket: FakeBucket;
  let folders: string[] = [];
  const service = createServer((request, response) => {
    const path = request.url ?? "";
    if (path === "/latest/api/token") return response.end("session");
    return response.end(path.endsWith("/security-credentials/") ? "role" : JSON.stringify(role));
  });
  let endpoint: string;
  beforeEach(async () => {
    bucket = await startBucket(new Map());
    folders = [];
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    endpoint = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
    vi.stubEnv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    service.closeAllConnections();
    service.close();
    await once(service, "close");
    await bucket.close();
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });
  return {
    get bucket() {
      return bucket;
    },
    get metadata() {
      return endpoint;
    },
    /** The data directory of a machine, as its user data makes it. */
    machine: async (isReplaceable = true): Promise<string> => {
      const folder = await mkdtemp(join(tmpdir(), "tuneup-resume-"));
      folders.push(folder);
      const data = join(folder, "data");
      const file = isReplaceable ? resumePlaceFile(data) : join(data, "none");
      mkdirSync(dirname(file), { recursive: true });
      if (isReplaceable) writeFileSync(file, JSON.stringify({ address, region: "us-east-1" }));
      return data;
    },
  };
}
