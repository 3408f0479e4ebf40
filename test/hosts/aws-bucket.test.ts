import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { requireCopies, settleBucket } from "../../cli/kept-bucket.ts";
import { deleteBucket, stackBucket } from "../../hosts/aws-bucket.ts";
import { faultOf } from "./aws-stage.ts";

/** The bucket of a stack's own, by AWS's protocols on loopback. */
const place = { kind: "aws", region: "us-east-1", stack: "demo", dataDirectory: "/data", spot: true } as const;
const { signal } = new AbortController();

interface Version {
  readonly key: string;
  readonly id: string;
  readonly mark?: boolean;
}

let arns: string[] = [];
let asked: unknown[] = [];
let buckets: Map<string, Version[]>;
let requests: string[] = [];
/** S3's error for every deletion, where it refuses. */
let refusal: string | undefined;
const server = createServer((request, response) => {
  void text(request).then((body) => {
    if (request.headers["x-amz-target"] !== undefined) {
      asked.push(JSON.parse(body));
      const ResourceTagMappingList = arns.map((ResourceARN) => ({ ResourceARN, Tags: [] }));
      return response.end(JSON.stringify({ ResourceTagMappingList, PaginationToken: "" }));
    }
    const url = new URL(request.url ?? "/", "http://s3");
    const [, name = "", ...rest] = decodeURIComponent(url.pathname).split("/");
    const key = rest.join("/");
    requests.push(`${request.method ?? ""} ${key}`);
    const versions = buckets.get(name);
    if (versions === undefined) return response.writeHead(404).end("<Error><Code>NoSuchBucket</Code></Error>");
    if (url.searchParams.has("list-type")) return response.end(contentsOf(versions, url.searchParams.get("prefix")));
    if (request.method === "GET") return response.end(listOf(versions.slice(0, 20)));
    if (refusal !== undefined) return response.writeHead(403).end(`<Error><Code>${refusal}</Code></Error>`);
    if (key === "") {
      if (versions.length > 0) return response.writeHead(409).end("<Error><Code>BucketNotEmpty</Code></Error>");
      buckets.delete(name);
    } else {
      const kept = versions.filter((one) => one.key !== key || one.id !== url.searchParams.get("versionId"));
      buckets.set(name, kept);
    }
    return response.writeHead(204).end();
  });
});

function listOf(versions: readonly Version[]): string {
  const items = versions.map(({ key, id, mark }) => {
    const element = mark === true ? "DeleteMarker" : "Version";
    return `<${element}><Key>${key}</Key><VersionId>${id}</VersionId></${element}>`;
  });
  return `<ListVersionsResult>${items.join("")}</ListVersionsResult>`;
}

function contentsOf(versions: readonly Version[], prefix: string | null): string {
  const items = versions.filter(({ key }) => key.startsWith(prefix ?? ""));
  return `<ListBucketResult>${items.map(({ key }) => `<Contents><Key>${key}</Key></Contents>`).join("")}</ListBucketResult>`;
}

beforeEach(async () => {
  [arns, asked, requests, refusal] = [["arn:aws:s3:::tuneup-demo-1"], [], [], undefined];
  const versions = Array.from({ length: 50 }, (_, index) => ({ key: `demo/runs/${index % 7}`, id: `v${index}` }));
  buckets = new Map([
    ["tuneup-demo-1", [...versions, { key: "demo/a b", id: "null" }, { key: "demo/a b", id: "m", mark: true }]],
    ["other", [{ key: "x", id: "1" }]],
  ]);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  vi.stubEnv("AWS_ENDPOINT_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

it("is found by the stack's tags, and by that of a bucket", async () => {
  expect(await stackBucket(place)).toBe("tuneup-demo-1");
  const pairs = Object.entries({ "tuneup:project": "tuneup", "tuneup:stack": "demo", "tuneup:bucket": "runs" });
  expect(asked).toEqual([
    expect.objectContaining({
      TagFilters: pairs.map(([Key, value]) => ({ Key, Values: [value] })),
      ResourceTypeFilters: ["s3"],
    }),
  ]);
});

it("is kept without --purge", async () => {
  expect(await settleBucket(place, { purge: false, signal })).toBe(
    "And what its runs left is kept in its bucket tuneup-demo-1, which costs by what is in it: the next `npx tuneup up` takes it up, `npx tuneup down demo --purge` deletes it.",
  );
  expect(requests).toEqual([]);
});

it("is deleted with --purge, with every version of everything, and no other", async () => {
  expect(await settleBucket(place, { purge: true, signal })).toBe(
    "And its bucket tuneup-demo-1, with everything in it, is deleted.",
  );
  expect([...buckets.keys()]).toEqual(["other"]);
  expect(requests.at(-1)).toBe("DELETE ");
});

it("is nobody's where the stack has none", async () => {
  arns = [];
  expect(await settleBucket(place, { purge: true, signal })).toBeUndefined();
  expect(requests).toEqual([]);
});

it("is not chosen among several", async () => {
  arns.push("arn:aws:s3:::tuneup-demo-0");
  expect(await faultOf(stackBucket(place))).toMatchObject({
    code: "bucket-several",
    message:
      "There are 2 buckets with the tags of demo in us-east-1, and one stack has one: tuneup-demo-0, tuneup-demo-1.",
  });
});

it("is not given up where it alone has what a complete run left, and no machine is there to ask", async () => {
  const home = { home: "/nowhere", signal };
  await requireCopies("tuneup-demo-1", place, home);
  const keys = ["demo/runs/demo-1/manifest.json", "demo/runs/demo-2/owner.json", "demo/runs/machine/1/plan.json"];
  buckets.get("tuneup-demo-1")?.push(...keys.map((key) => ({ key, id: "1" })));
  expect(await faultOf(requireCopies("tuneup-demo-1", place, home))).toMatchObject({
    code: "purge-unseen",
    message: "What demo-1 left lies in the bucket tuneup-demo-1 alone, and no machine of demo has it.",
  });
  await requireCopies("tuneup-demo-1", place, { ...home, known: ["demo-1"] });
});

it("stays where its deletion is refused, which is said", async () => {
  refusal = "AccessDenied";
  expect(await faultOf(deleteBucket("tuneup-demo-1", "us-east-1", signal))).toMatchObject({
    code: "artifacts-forbidden",
    message: "The bucket tuneup-demo-1 refuses us (HTTP 403, AccessDenied).",
  });
  expect(buckets.get("tuneup-demo-1")).toHaveLength(52);
});
