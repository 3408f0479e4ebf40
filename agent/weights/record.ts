import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Layout } from "../../recipe/layout.ts";
import { type FileDigest, weightsRecord, type WeightsRecord } from "../../recipe/lifecycle.ts";
import { filesBelow, isMissing, readRecord, sha256OfFile, writeJson } from "../files.ts";
import type { Context } from "../context.ts";
import { completeFile, formatBytes } from "../folders.ts";

/** Size, time and inode of a file when it was last hashed: while they stay, its hash is taken to stay. */
const stamps = z.record(z.string(), z.object({ bytes: z.number(), mtimeNs: z.string(), inode: z.string() }));
type Stamps = z.infer<typeof stamps>;

const stampsFile = ".stamps.json";

/** Names in a weights folder that are ours and not the model's. */
const ours = (path: string) => path === completeFile || path === stampsFile || path.startsWith(".cache/");

/** Where the record of the weights at `path` is: in the folder itself, or, for a user's own folder, beside ours. */
export function recordFolder(layout: Layout, path: string): string {
  if (path.startsWith(`${layout.models}/`)) return path;
  return `${layout.models}/path-${createHash("sha256").update(path).digest("hex").slice(0, 12)}`;
}

/** The record of the weights at `path`, undefined if they are not complete. */
export function readWeights(layout: Layout, path: string): Promise<WeightsRecord | undefined> {
  return readRecord(join(recordFolder(layout, path), completeFile), weightsRecord);
}

/** sha256 of the file list: what the bytes of weights are, whatever they are called. */
export function contentRevision(files: readonly FileDigest[]): string {
  const told = files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join("");
  return createHash("sha256").update(told).digest("hex");
}

/** Hashes every file of the model at `path` and remembers its stamps in `recordIn`. `onBytes` is told the bytes hashed so far. */
export async function digestWeights(
  path: string,
  recordIn: string,
  onBytes: (done: number, total: number) => void = () => undefined,
): Promise<FileDigest[]> {
  const names = await filesBelow(path, (name) => !ours(name) && !name.startsWith(".git/"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const digests: FileDigest[] = [];
  const remembered: Stamps = {};
  let done = 0;
  for (const name of names) {
    const whole = join(path, name);
    const stamp = await stampOf(whole);
    remembered[name] = stamp;
    digests.push({ path: name, bytes: stamp.bytes, sha256: await sha256OfFile(whole) });
    onBytes((done += stamp.bytes), total);
  }
  await writeJson(join(recordIn, stampsFile), remembered);
  return digests;
}

async function stampOf(path: string) {
  const { size, mtimeNs, ino } = await stat(path, { bigint: true });
  return { bytes: Number(size), mtimeNs: String(mtimeNs), inode: String(ino) };
}

/**
 * The first file that is missing or differs from the record, in a sentence; undefined if none. A file is hashed again only if its
 * size, time or inode is not the remembered one.
 */
export async function findDamage(layout: Layout, path: string, record: WeightsRecord): Promise<string | undefined> {
  const file = join(recordFolder(layout, path), stampsFile);
  const known = (await readRecord(file, stamps)) ?? {};
  let learnt = false;
  for (const { path: name, bytes, sha256 } of record.files) {
    const whole = join(path, name);
    let stamp;
    try {
      stamp = await stampOf(whole);
    } catch (thrown) {
      if (isMissing(thrown)) return `${whole} is missing.`;
      throw thrown;
    }
    if (stamp.bytes !== bytes) return `${whole} has ${formatBytes(stamp.bytes)} (${stamp.bytes}) instead of ${bytes}.`;
    const old = known[name];
    if (old?.mtimeNs === stamp.mtimeNs && old.inode === stamp.inode) continue;
    if ((await sha256OfFile(whole)) !== sha256) return `${whole} has other content than when it was prepared.`;
    known[name] = stamp;
    learnt = true;
  }
  // Only a memory: a read-only data directory costs the hash again, nothing else.
  if (learnt) await writeJson(file, known).catch(() => undefined);
  return undefined;
}

/** Bytes of all files together. */
export function bytesOf(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The record if the weights at `path` are whole; says in the log why they are prepared again if not. */
export async function readIntact(layout: Layout, path: string, context: Context): Promise<WeightsRecord | undefined> {
  const record = await readWeights(layout, path);
  if (record === undefined) return undefined;
  const damage = await findDamage(layout, path, record);
  if (damage === undefined) return record;
  context.log("warning", `${damage} The weights are prepared again.`);
  return undefined;
}

/** The record of weights that are complete now. */
export function newRecord(
  model: { readonly source: string; readonly id: string },
  revision: string,
  files: FileDigest[],
): WeightsRecord {
  const completedAt = new Date().toISOString();
  return { schemaVersion: 1, source: model.source, id: model.id, revision, completedAt, files };
}

/** Lock of those who prepare the weights whose record is in `folder`. */
export function lockOf(layout: Layout, folder: string): string {
  return `${layout.locks}/models-${folder.slice(layout.models.length + 1)}`;
}

/** Folder of a fetched model: `Qwen--Qwen2.5-0.5B-Instruct@7ae557604adf`. */
export function weightsFolder(layout: Layout, id: string, revision: string): string {
  const slug = id
    .replace(/^s3:\/\//, "")
    .replaceAll("/", "--")
    .replaceAll(/[^A-Za-z0-9._-]/g, "_");
  return `${layout.models}/${slug}@${shortRevision(revision)}`;
}

/** A revision as people and folders say it. */
export function shortRevision(revision: string): string {
  return revision.replace(/^files-/, "").slice(0, 12);
}
