import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import { type Bucket, cutFault, element, listObjects, s3Fault } from "./bucket.ts";

/** How long and how often an upload's requests are tried. */
export interface Persistence {
  /** A request that takes longer is given up. */
  readonly requestMs: number;
  readonly tries: number;
  /** Before the second try; doubles with each further one. */
  readonly pauseMs: number;
}

/** What an upload does unless it is told otherwise. */
export const persistence: Persistence = { requestMs: 300_000, tries: 5, pauseMs: 500 };

/** A larger file is sent in parts of this size: what is sent again after a cut. S3 takes 10,000 of them. */
const partBytes = 16 * 1024 * 1024;
const mostParts = 10_000;

type Sent = Parameters<Bucket["request"]>[2];

/**
 * Asks until there is an answer that no further try changes, and returns it with its text; its status may be an error that is not passing
 * (403, 404, 412). Throws a Fault of infrastructure after the last try.
 */
export async function insistOn(
  bucket: Bucket,
  [method, key, sent]: readonly ["GET" | "PUT" | "POST" | "DELETE", string, Sent],
  { requestMs, tries, pauseMs }: Persistence = persistence,
): Promise<{ readonly answer: Response; readonly text: string }> {
  for (let failed = 1; ; failed++) {
    const fault = await bucket
      .request(method, key, { ...sent, signal: AbortSignal.any([sent.signal, AbortSignal.timeout(requestMs)]) })
      .then(async (answer) => {
        const text = await answer.text();
        const passing = answer.status >= 500 || [408, 409, 429].includes(answer.status);
        return passing ? s3Fault(bucket, answer.status, text) : { answer, text };
      })
      .catch((thrown: unknown) => {
        sent.signal.throwIfAborted();
        return thrown instanceof Fault ? thrown : cutFault(bucket, `request (${method} ${key}) to`, thrown);
      });
    if (!(fault instanceof Fault)) return fault;
    if (fault.blame !== "infrastructure" || failed >= tries) throw fault;
    await delay(pauseMs * 2 ** (failed - 1), undefined, { signal: sent.signal });
  }
}

/** Sends the file to `key` and returns its size and sha256 as they were sent. S3 compares each request's bytes with their sha256. */
export async function uploadFile(
  bucket: Bucket,
  { path, key }: { readonly path: string; readonly key: string },
  signal: AbortSignal,
  how: Persistence = persistence,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const whole = createHash("sha256");
    const most = Math.max(partBytes, Math.ceil(size / mostParts));
    const next = async (from: number) => {
      const part = Buffer.alloc(Math.min(most, size - from));
      for (let got = 0; got < part.length;) {
        const { bytesRead } = await file.read(part, got, part.length - got, from + got);
        if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
        got += bytesRead;
      }
      whole.update(part);
      return part;
    };
    const send = { bucket, key, signal, how };
    if (size <= most) await put(send, await next(0));
    else await inParts(send, size, next);
    return { bytes: size, sha256: whole.digest("hex") };
  } finally {
    await file.close();
  }
}

interface Sending {
  readonly bucket: Bucket;
  readonly key: string;
  readonly signal: AbortSignal;
  readonly how: Persistence;
}

/** One PUT; returns the ETag. */
async function put(
  { bucket, key, signal, how }: Sending,
  body: Uint8Array<ArrayBuffer>,
  query: Readonly<Record<string, string>> = {},
): Promise<string> {
  const sum = createHash("sha256").update(body).digest("hex");
  const sent = { signal, body, query, headers: { "x-amz-content-sha256": sum } };
  const { answer, text } = await insistOn(bucket, ["PUT", key, sent], how);
  if (!answer.ok) throw s3Fault(bucket, answer.status, text);
  return answer.headers.get("etag") ?? "";
}

async function inParts(send: Sending, size: number, next: (from: number) => Promise<Buffer<ArrayBuffer>>) {
  const { bucket, key, signal, how } = send;
  const begun = await insistOn(bucket, ["POST", key, { signal, query: { uploads: "" } }], how);
  const uploadId = element(begun.text, "UploadId");
  if (!begun.answer.ok || uploadId === undefined) throw s3Fault(bucket, begun.answer.status, begun.text);
  try {
    const parts: string[] = [];
    for (let from = 0, number = 1; from < size; number++) {
      const part = await next(from);
      const etag = await put(send, part, { partNumber: String(number), uploadId });
      parts.push(`<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', "&quot;")}</ETag></Part>`);
      from += part.length;
    }
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
    const { answer, text } = await insistOn(bucket, ["POST", key, { signal, body, query: { uploadId } }], how);
    // S3 answers 200 before it knows, and says an error in the body.
    if (!answer.ok || element(text, "Code") !== undefined) throw s3Fault(bucket, answer.ok ? 500 : answer.status, text);
  } catch (thrown) {
    // Parts that nobody completes would be paid for.
    await bucket
      .request("DELETE", key, { signal: AbortSignal.timeout(how.requestMs), query: { uploadId } })
      .catch(() => undefined);
    throw thrown;
  }
}

/** Deletes every object below `prefix`. */
export async function deleteBelow(bucket: Bucket, prefix: string, signal: AbortSignal): Promise<void> {
  for (const { key } of await listObjects(bucket, prefix, signal)) {
    const { answer, text } = await insistOn(bucket, ["DELETE", key, { signal }]);
    if (!answer.ok && answer.status !== 404) throw s3Fault(bucket, answer.status, text);
  }
}
