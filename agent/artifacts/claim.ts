import { z } from "zod";
import { canonicalJson } from "../../recipe/canonical.ts";
import { Fault } from "../../recipe/fault.ts";
import { fileDigest, runManifest } from "../../recipe/lifecycle.ts";
import { publishedFolder } from "../../recipe/s3-access.ts";
import { type Bucket, listObjects, parseAddress, s3Fault } from "../s3/bucket.ts";
import { insistOn, persistence } from "../s3/upload.ts";

/** A run's folder in a bucket. */
export interface Place {
  readonly bucket: Bucket;
  /** With a slash at its end. */
  readonly prefix: string;
  /** s3:// address, for people. */
  readonly address: string;
}

/** Where a run is published, in a bucket that `open` opens. */
export function placeOfRun(
  { artifacts, experiment, run }: { readonly artifacts: string; readonly experiment: string; readonly run: string },
  open: (bucket: string) => Bucket,
): Place {
  const address = publishedFolder(artifacts, experiment, run);
  const { bucket, prefix } = parseAddress(address);
  return { bucket: open(bucket), prefix, address };
}

/** A folder below the run's: its name has generation and holder in it, so no two hosts ever write the same object. */
const published = z.object({
  folder: z.string().regex(/^(checkpoint-\d+|artifact)-g\d+-[\w.]+$/),
  step: z.int(),
  files: z.array(fileDigest),
});
export type Published = z.infer<typeof published>;

/**
 * `owner.json`: who may publish, and the manifests of all that is published. Both in one object, since a conditional write looks at one alone:
 * whoever takes over changes it, and every publication of who came before is refused from then on. What is not named in it is not there.
 */
const ownerRecord = z.object({
  schemaVersion: z.literal(1),
  /** 1 for the first holder; one more with each that takes over. */
  generation: z.int().positive(),
  holder: z.string(),
  /** Oldest first. */
  checkpoints: z.array(published),
  artifact: published.extend({ result: runManifest }).optional(),
});
export type OwnerRecord = z.infer<typeof ownerRecord>;

interface Held {
  readonly record: OwnerRecord;
  readonly etag: string;
}

/** A small object is answered soon, or not at all. */
const small = { ...persistence, requestMs: 30_000 };

/** What an object says, and its ETag; undefined where there is none. */
export async function readSmall({ bucket, prefix }: Place, name: string, signal: AbortSignal) {
  const { answer, text } = await insistOn(bucket, ["GET", prefix + name, { signal }], small);
  if (answer.status === 404 && !text.includes("NoSuchBucket")) return undefined;
  // Whoever may list below the prefix alone is told 403 of what is not there.
  if (answer.status === 403 && (await isUnlisted(bucket, prefix + name, signal))) return undefined;
  if (!answer.ok) throw s3Fault(bucket, answer.status, text);
  return { text, etag: answer.headers.get("etag") ?? "" };
}

async function isUnlisted(bucket: Bucket, key: string, signal: AbortSignal): Promise<boolean> {
  const objects = await listObjects(bucket, key, signal).catch(() => undefined);
  return objects !== undefined && !objects.some((one) => one.key === key);
}

/** Writes a small object in place of the one with that ETag, or where there is none; undefined if there is another by now. */
export async function writeSmall(
  { bucket, prefix }: Place,
  [name, value]: readonly [string, unknown],
  etag: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers: Record<string, string> = etag === undefined ? { "If-None-Match": "*" } : { "If-Match": etag };
  const body = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  const { answer, text } = await insistOn(bucket, ["PUT", prefix + name, { signal, headers, body }], small);
  if (answer.status === 412 || (answer.status === 404 && etag !== undefined)) return undefined;
  if (!answer.ok) throw s3Fault(bucket, answer.status, text);
  return answer.headers.get("etag") ?? "";
}

/** Who may publish a run, and what is published of it; undefined where nobody ever did. Throws Fault `artifacts-unreadable`. */
export async function readOwner(place: Place, signal: AbortSignal): Promise<Held | undefined> {
  const found = await readSmall(place, "owner.json", signal);
  if (found === undefined) return undefined;
  try {
    return { record: ownerRecord.parse(JSON.parse(found.text)), etag: found.etag };
  } catch (thrown) {
    throw new Fault(
      {
        code: "artifacts-unreadable",
        property: "storage.artifacts",
        message: `${place.address}owner.json is not what this release writes, so nothing is published there.`,
        next: "Choose another prefix, or delete that object where nobody publishes this run.",
      },
      { cause: thrown },
    );
  }
}

/** The right of one supervision to publish a run: a generation that it takes once, and that is over when another takes the next. */
export class Claim {
  readonly #place: Place;
  readonly #token: string;
  readonly holder: string;
  #held: Held | undefined;

  /** `host` is for people; `token` is this supervision's alone. */
  constructor(place: Place, host: string, token: string) {
    this.#place = place;
    this.#token = token;
    this.holder = `${host} ${token}`;
  }

  /** What no other supervision has in the names of its folders. Only once it was taken. */
  get mark(): string {
    return `g${this.#held?.record.generation ?? 0}-${this.#token.slice(0, 8)}`;
  }

  /** Takes the run over from whoever had it, the first time; what is published since. Throws Fault `artifacts-overtaken` if it is not ours any more. */
  async take(signal: AbortSignal): Promise<OwnerRecord> {
    for (;;) {
      const found = await readOwner(this.#place, signal);
      if (found?.record.holder === this.holder) return this.#keep(found);
      if (this.#held !== undefined) throw this.#overtaken(found?.record);
      const before = found?.record;
      const { holder } = this;
      const kept = { checkpoints: [], ...before };
      const record: OwnerRecord = { ...kept, schemaVersion: 1, generation: (before?.generation ?? 0) + 1, holder };
      const etag = await writeSmall(this.#place, ["owner.json", record], found?.etag, signal);
      if (etag !== undefined) return this.#keep({ record, etag });
      // Another host was faster, or our own answer was lost: look again.
    }
  }

  /** Publishes what `change` makes of the record, unless it is not ours any more: then it throws Fault `artifacts-overtaken`. */
  async commit(change: (record: OwnerRecord) => OwnerRecord, signal: AbortSignal): Promise<OwnerRecord> {
    if (this.#held === undefined) await this.take(signal);
    const held = this.#held as unknown as Held;
    const wanted = change(held.record);
    for (let { etag: before } = held; ;) {
      const etag = await writeSmall(this.#place, ["owner.json", wanted], before, signal);
      if (etag !== undefined) return this.#keep({ record: wanted, etag });
      const found = await readOwner(this.#place, signal);
      if (found?.record.holder !== this.holder) throw this.#overtaken(found?.record);
      // It was ours, and only its answer was lost.
      this.#keep(found);
      if (canonicalJson(found.record) === canonicalJson(wanted)) return found.record;
      before = found.etag;
    }
  }

  #keep(held: Held): OwnerRecord {
    this.#held = held;
    return held.record;
  }

  #overtaken(by: OwnerRecord | undefined): Fault {
    const who =
      by === undefined ? "its owner.json was deleted" : `${by.holder} publishes it (generation ${by.generation})`;
    return new Fault({
      code: "artifacts-overtaken",
      property: "storage.artifacts",
      message: `This run is published by another host now: ${who}; this one, generation ${this.#held?.record.generation ?? 0}, publishes nothing any more.`,
      next: "Stop the run on one of the two hosts.",
    });
  }
}
