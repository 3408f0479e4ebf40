import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import type { CommandInput } from "../../recipe/protocol.ts";
import type { Context } from "../context.ts";
import { type Bucket, listObjects, openBucket, parseAddress, type S3Object, s3Fault } from "../s3/bucket.ts";
import { downloadObject, patience, type Patience } from "../s3/download.ts";
import { type Remote, sizeOf } from "./fetch.ts";
import type { ExpectedFile } from "./mismatches.ts";
import { shortRevision } from "./record.ts";
import { selectWeights } from "./select.ts";

/** Files that are fetched at the same time. */
const atOnce = 4;

/** The model in a bucket as it is now. S3 has no commits: its revision is the hash of names, sizes and ETags. */
export async function findInBucket(
  { model, pin, s3 = {} }: CommandInput<"weights-ensure">,
  context: Context,
  how: Patience = patience,
): Promise<Remote> {
  if (model.revision !== undefined) {
    const message = `${JSON.stringify(model.revision)} has no meaning for a bucket, which knows no revisions.`;
    throw new Fault({ code: "weights-revision", property: "model.revision", message, next: "Remove it." });
  }
  const { bucket: name, prefix } = parseAddress(model.id);
  const bucket = openBucket(name, s3);
  const listed = await asked(bucket, () => listObjects(bucket, prefix, context.signal));
  const named = listed.map((object) => ({ ...object, path: object.key.slice(prefix.length) }));
  const objects = selectWeights(named, model.allowPickle ?? []);
  if (typeof objects === "string") throw nothingThere(model.id, listed.length, objects);
  const revision = revisionOf(prefix, objects);
  if (pin !== undefined && pin.revision !== revision) throw moved(model.id);
  const sums = await asked(bucket, () =>
    Promise.all(objects.map(({ key }) => checksumOf(bucket, key, context.signal))),
  );
  const files: ExpectedFile[] = objects.map(({ key, bytes }, index) => ({
    path: key.slice(prefix.length),
    bytes,
    sha256: sums[index] ?? null,
  }));
  return {
    source: "s3",
    name: `the bucket ${name}`,
    revision,
    files,
    announcement: `${model.id} is ${shortRevision(revision)}: ${sizeOf(files)}; a bucket names no licence.`,
    download: (folder, working) => downloadAll({ bucket, prefix, objects, folder, how }, working.signal),
  };
}

function revisionOf(prefix: string, objects: readonly S3Object[]): string {
  const lines = objects.map(({ key, bytes, etag }) => `${key.slice(prefix.length)} ${bytes} ${etag}\n`);
  return createHash("sha256").update(lines.toSorted().join("")).digest("hex").slice(0, 40);
}

/** The sha256 that S3 keeps of an object, where it was uploaded with one; of parts of it is of no use here. */
async function checksumOf(bucket: Bucket, key: string, signal: AbortSignal): Promise<string | undefined> {
  const answer = await bucket.request("HEAD", key, { signal, headers: { "x-amz-checksum-mode": "ENABLED" } });
  if (!answer.ok) throw s3Fault(bucket, answer.status, "");
  const bytes = Buffer.from(answer.headers.get("x-amz-checksum-sha256") ?? "", "base64");
  return bytes.length === 32 && answer.headers.get("x-amz-checksum-type") !== "COMPOSITE"
    ? bytes.toString("hex")
    : undefined;
}

/** The question's answer; a Fault `weights-unreachable` where there is none at all. */
async function asked<T>(bucket: Bucket, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (thrown) {
    if (thrown instanceof Fault || (thrown as Error).name === "AbortError") throw thrown;
    const { message, cause } = thrown as Error;
    throw new Fault({
      code: "weights-unreachable",
      property: "model.id",
      message: `The bucket ${bucket.name} can't be reached (${cause instanceof Error ? cause.message : message}).`,
      next: "Check the network, https_proxy, AWS_REGION and AWS_ENDPOINT_URL, then run it again.",
      blame: "infrastructure",
    });
  }
}

interface Downloading {
  readonly bucket: Bucket;
  readonly prefix: string;
  readonly objects: readonly S3Object[];
  readonly folder: string;
  readonly how: Patience;
}

async function downloadAll({ bucket, prefix, objects, folder, how }: Downloading, signal: AbortSignal): Promise<void> {
  const queue = objects.filter(({ key }) => !existsSync(join(folder, key.slice(prefix.length)))).values();
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  const work = async () => {
    for (const object of queue) {
      const target = join(folder, object.key.slice(prefix.length));
      const partial = join(
        folder,
        ".cache",
        createHash("sha256")
          .update(object.key + object.etag)
          .digest("hex"),
      );
      await downloadObject(bucket, { object, target, partial }, both, how);
    }
  };
  const workers = Array.from({ length: atOnce }, () =>
    work().catch((thrown: unknown) => {
      failure.abort();
      throw thrown;
    }),
  );
  const ended = await Promise.allSettled(workers);
  const reasons = ended.flatMap((end) => (end.status === "rejected" ? [end.reason as Error] : []));
  const first = reasons.find(({ name }) => name !== "AbortError") ?? reasons[0];
  if (first !== undefined) throw first;
}

function nothingThere(id: string, listed: number, kind: "pickle-only" | "no-weights"): Fault {
  if (kind === "pickle-only") {
    return new Fault({
      code: "weights-pickle",
      property: "model.allowPickle",
      message: `${id} has its weights only as pickle files (.bin), which can run code when they are loaded.`,
      next: "Convert them to safetensors; or, if you trust them, name each of its weight files in `model.allowPickle`.",
    });
  }
  return new Fault({
    code: "weights-none",
    property: "model.id",
    message: `There is no model in ${id}: of ${listed} objects below it none is a safetensors file.`,
    next: "Give the folder that has config.json and the safetensors files.",
  });
}

function moved(id: string): Fault {
  return new Fault({
    code: "weights-moved",
    property: "model.id",
    message: `${id} has other files than when it was pinned.`,
    next: "Delete the model's entry in the lock file beside the stack file to take the new files, or put the old ones back.",
  });
}
