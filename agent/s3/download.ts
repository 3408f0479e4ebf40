import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import { sizeOf } from "../files.ts";
import { type Bucket, cutFault, s3Fault, type S3Object } from "./bucket.ts";

/** How long and how often a download is tried. */
export interface Patience {
  /** A connection that brings nothing for so long is dropped. */
  readonly stallMs: number;
  /** Tries that may bring nothing; one that brings something starts the count anew. */
  readonly tries: number;
  /** Before the second try; doubles with each further one. */
  readonly pauseMs: number;
}

/** What a download from a bucket does unless it is told otherwise. */
export const patience: Patience = { stallMs: 30_000, tries: 5, pauseMs: 500 };

/** Downloads an object to `target`, going on in `partial` where an earlier try ended. The bytes are always of one version: its ETag's. */
export async function downloadObject(
  bucket: Bucket,
  { object, target, partial }: { object: S3Object; target: string; partial: string },
  signal: AbortSignal,
  { stallMs, tries, pauseMs }: Patience = patience,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await mkdir(dirname(partial), { recursive: true, mode: 0o700 });
  for (let failed = 0; ;) {
    const before = await sizeOf(partial);
    try {
      await receive(bucket, object, { partial, from: before, stallMs }, signal);
      await rename(partial, target);
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      const fault = faultOf(bucket, object, thrown);
      const disk = ["ENOSPC", "EDQUOT", "EACCES", "EROFS"].includes((thrown as NodeJS.ErrnoException).code ?? "");
      if (disk) throw thrown;
      failed = (await sizeOf(partial)) > before ? 1 : failed + 1;
      if (fault.blame !== "infrastructure" || failed >= tries) throw fault;
      await delay(pauseMs * 2 ** (failed - 1), undefined, { signal });
    }
  }
}

interface Receiving {
  readonly partial: string;
  readonly from: number;
  readonly stallMs: number;
}

async function receive(
  bucket: Bucket,
  { key, bytes, etag }: S3Object,
  { partial, from, stallMs }: Receiving,
  signal: AbortSignal,
): Promise<void> {
  if (from > bytes) await rm(partial);
  else if (from === bytes && bytes > 0) return;
  const start = from > bytes ? 0 : from;
  const stall = new AbortController();
  let timer = setTimeout(() => stall.abort(), stallMs);
  try {
    const range: Record<string, string> = start > 0 ? { Range: `bytes=${start}-` } : {};
    const both = AbortSignal.any([signal, stall.signal]);
    const answer = await bucket.request("GET", key, { signal: both, headers: { ...range, "If-Match": etag } });
    if (!answer.ok) throw s3Fault(bucket, answer.status, await answer.text());
    const appended = start > 0 && answer.status === 206;
    const stream = Readable.fromWeb(answer.body ?? new ReadableStream());
    stream.on("data", () => {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(), stallMs);
    });
    await pipeline(stream, createWriteStream(partial, { flags: appended ? "a" : "w", mode: 0o600, flush: true }));
  } finally {
    clearTimeout(timer);
  }
  const size = await sizeOf(partial);
  if (size < bytes) throw new Error(`the answer ended after ${size} of ${bytes} bytes`);
  if (size === bytes) return;
  await rm(partial, { force: true });
  throw new Error(`the answer has more than ${bytes} bytes`);
}

/** What ended a try: S3's own refusal, or else the network. */
function faultOf(bucket: Bucket, { key }: S3Object, thrown: unknown): Fault {
  return thrown instanceof Fault ? thrown : cutFault(bucket, `download of ${key} from`, thrown);
}
