import { AwsV4Signer } from "aws4fetch";
import { asFault, Fault } from "../../recipe/fault.ts";
import type { S3Access } from "../../recipe/s3-access.ts";
import { proxiedFetch } from "../proxied-fetch.ts";

/** An object below a prefix. */
export interface S3Object {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

/** What a bucket is asked for: whose its faults are. */
export type BucketUse = "weights" | "artifacts";

/** Config key of each use, and the codes of its faults. */
const uses = {
  weights: {
    property: "model.id",
    missing: "weights-not-found",
    moved: "weights-moved",
    forbidden: "weights-forbidden",
    busy: "weights-rate-limited",
    unreachable: "weights-unreachable",
    cut: "weights-cut",
  },
  artifacts: {
    property: "storage.artifacts",
    missing: "artifacts-not-found",
    moved: "artifacts-moved",
    forbidden: "artifacts-forbidden",
    busy: "artifacts-rate-limited",
    unreachable: "artifacts-unreachable",
    cut: "artifacts-cut",
  },
} as const;

type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";

/** A bucket of AWS or of a store that speaks S3's HTTP. */
export interface Bucket {
  readonly name: string;
  readonly use: BucketUse;
  request(method: Method, key: string, options: RequestOptions): Promise<Response>;
}

interface RequestOptions {
  readonly signal: AbortSignal;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
}

/** Bucket and prefix of `s3://bucket/prefix`. Throws Fault `s3-address`. */
export function parseAddress(address: string): { bucket: string; prefix: string } {
  const [, bucket, prefix = ""] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(address) ?? [];
  if (bucket !== undefined) return { bucket, prefix: prefix.replace(/\/*$/, prefix === "" ? "" : "/") };
  throw new Fault({
    code: "s3-address",
    property: "model.id",
    message: `${JSON.stringify(address)} is not s3://bucket/prefix.`,
    next: "Give the bucket and the folder in it that has config.json, such as s3://models/qwen2.5-7b.",
  });
}

/** Opens a bucket; nothing is asked yet. A bucket in another region is followed there once. `access` may be one that is asked for before each request. */
export function openBucket(
  name: string,
  access: S3Access | (() => Promise<S3Access>),
  use: BucketUse = "weights",
): Bucket {
  let moved: string | undefined;
  const send = async (method: Method, key: string, { signal, query, headers = {}, body }: RequestOptions) => {
    const keys = typeof access === "function" ? await access() : access;
    const region = moved ?? keys.region ?? "us-east-1";
    const url = objectUrl(name, key, region, keys.endpoint);
    for (const [field, value] of Object.entries(query ?? {})) url.searchParams.set(field, value);
    const request = await signed(url, { method, region, access: keys, headers });
    const content = body === undefined ? {} : { body };
    return { answer: await proxiedFetch(request, { signal, redirect: "manual", ...content }), region, keys };
  };
  return {
    name,
    use,
    async request(method, key, options) {
      const { answer, region, keys } = await send(method, key, options);
      const told = answer.headers.get("x-amz-bucket-region");
      const elsewhere = told !== null && told !== region && [301, 307, 400].includes(answer.status);
      if (!elsewhere || keys.endpoint !== undefined) return answer;
      moved = told;
      return (await send(method, key, options)).answer;
    },
  };
}

/** Where an object is asked for; `endpoint` is a store's other than AWS's own. */
export function objectUrl(bucket: string, key: string, region: string, endpoint: string | undefined): URL {
  const path = key.split("/").map(encodeURIComponent).join("/");
  if (endpoint !== undefined) return new URL(`${endpoint.replace(/\/+$/, "")}/${bucket}/${path}`);
  // AWS's certificate covers one level: a name with dots has to go into the path.
  if (bucket.includes(".")) return new URL(`https://s3.${region}.amazonaws.com/${bucket}/${path}`);
  return new URL(`https://${bucket}.s3.${region}.amazonaws.com/${path}`);
}

interface Signing {
  readonly method: Method;
  readonly region: string;
  readonly access: S3Access;
  readonly headers: Readonly<Record<string, string>>;
}

async function signed(url: URL, { method, region, access, headers }: Signing): Promise<Request> {
  const { accessKeyId, secretAccessKey, sessionToken } = access;
  if (accessKeyId === undefined || secretAccessKey === undefined) return new Request(url, { method, headers });
  const token = sessionToken === undefined ? {} : { sessionToken };
  const keys = { accessKeyId, secretAccessKey, ...token };
  const signer = new AwsV4Signer({ method, url: url.href, headers: { ...headers }, ...keys, service: "s3", region });
  const made = await signer.sign();
  return new Request(made.url, { method, headers: made.headers });
}

/** All objects below `prefix` (S3's ListObjectsV2). Throws a Fault that says what was refused. */
export async function listObjects(bucket: Bucket, prefix: string, signal: AbortSignal): Promise<S3Object[]> {
  const objects: S3Object[] = [];
  for (let token: string | undefined; ;) {
    const more = token === undefined ? {} : { "continuation-token": token };
    const answer = await bucket.request("GET", "", { signal, query: { "list-type": "2", prefix, ...more } });
    const text = await answer.text();
    if (!answer.ok) throw s3Fault(bucket, answer.status, text);
    objects.push(...contentsOf(text));
    token = element(text, "NextContinuationToken");
    if (element(text, "IsTruncated") !== "true" || token === undefined) return objects;
  }
}

function contentsOf(xml: string): S3Object[] {
  return [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, one = ""]) => ({
    key: element(one, "Key") ?? "",
    bytes: Number(element(one, "Size")),
    etag: element(one, "ETag") ?? "",
  }));
}

/** S3's answers have flat elements without attributes: text and the five entities is all that is in them. */
export function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text?.replaceAll(
    /&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g,
    (whole, decimal?: string, hex?: string, named?: string) => {
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      return entities[named ?? ""] ?? whole;
    },
  );
}

/** The Fault for an answer of S3 that no further try mends; infrastructure for those that one may. */
export function s3Fault({ name, use }: Pick<Bucket, "name" | "use">, status: number, body: string): Fault {
  const code = element(body, "Code");
  const said = code === undefined ? `HTTP ${status}` : `HTTP ${status}, ${code}`;
  const { property, ...codes } = uses[use];
  if (status === 404) {
    return new Fault({
      code: codes.missing,
      property,
      message: `The bucket ${name} or the object in it is not there (${said}).`,
      next: `Check \`${property}\`, and AWS_ENDPOINT_URL where the store is not AWS's own.`,
    });
  }
  if (status === 412) {
    return new Fault({
      code: codes.moved,
      property,
      message: `The objects in the bucket ${name} were replaced while they were downloaded.`,
      next: "Run it again when they are complete.",
    });
  }
  if (status === 401 || status === 403 || (status >= 300 && status < 500 && status !== 409 && status !== 429)) {
    const rights = use === "weights" ? "list and read it" : "list, read, write and delete in it, and run `up` again";
    return new Fault({
      code: codes.forbidden,
      property,
      message: `The bucket ${name} refuses us (${said}).`,
      next: `Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_SESSION_TOKEN for temporary keys) of an account that may ${rights}.`,
    });
  }
  return new Fault({
    code: status === 429 || status === 503 ? codes.busy : codes.unreachable,
    property,
    message: `The bucket ${name} does not answer as it should (${said}).`,
    next: use === "weights" ? "Run it again: it goes on where it ended." : "It is tried again by itself.",
    blame: "infrastructure",
  });
}

/** The Fault for a request that had no answer at all. */
export function cutFault({ name, use }: Pick<Bucket, "name" | "use">, what: string, thrown: unknown): Fault {
  const { cause } = thrown as Error;
  return new Fault({
    code: uses[use].cut,
    property: uses[use].property,
    message: `The ${what} the bucket ${name} was cut (${asFault(cause ?? thrown).message}).`,
    next: use === "weights" ? "Run it again: it goes on where it ended." : "It is tried again by itself.",
    blame: "infrastructure",
  });
}
