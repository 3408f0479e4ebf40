import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fetchedFolder, filesDigest } from "../../recipe/dataset-files.ts";
import { Fault } from "../../recipe/fault.ts";
import type { FileDigest } from "../../recipe/lifecycle.ts";
import type { DatasetEntry } from "../../recipe/sources.ts";
import type { Context } from "../context.ts";
import { sha256OfFile } from "../files.ts";
import { formatBytes } from "../folders.ts";
import { fetchFile } from "./fetch.ts";

/** Where an entry's bytes come from beside itself. */
interface Sources {
  readonly dataDirectory: string;
  readonly hubToken?: string | undefined;
  readonly context: Context;
}

/** What an entry became in the dataset folder: its `file_name` there (a file or a folder), and every file of it. */
export interface PlacedEntry {
  readonly fileName: string;
  readonly files: readonly FileDigest[];
}

/** Writes, copies or fetches the files of an entry into `folder` and checks that their bytes are the promised ones. */
export async function placeEntry(entry: DatasetEntry, folder: string, sources: Sources): Promise<PlacedEntry> {
  if (entry.remote !== undefined) return placeRemote(entry, folder, sources);
  if (entry.files !== undefined) return placeFolder(entry, folder, sources);
  const fileName = `${entry.name}.${entry.extension}`;
  const digest = await write(entry, join(folder, fileName), sources.context.signal);
  if (digest.sha256 !== entry.sha256) throw changed(entry, digest.sha256);
  return { fileName, files: [{ path: fileName, ...digest }] };
}

/** Several files of the user's. */
async function placeFolder(entry: DatasetEntry, folder: string, { context }: Sources): Promise<PlacedEntry> {
  const files: FileDigest[] = [];
  await mkdir(join(folder, entry.name));
  const names = flatNames((entry.files ?? []).map(({ path }) => path));
  for (const [index, { file, sha256 }] of (entry.files ?? []).entries()) {
    const placed = `${entry.name}/${names[index]}`;
    const digest = await write({ name: entry.name, file }, join(folder, placed), context.signal);
    if (digest.sha256 !== sha256) throw changed(entry, digest.sha256, sha256);
    files.push({ path: placed, ...digest });
  }
  const whole = filesDigest(entry.files ?? []);
  if (whole !== entry.sha256) throw changed(entry, whole);
  return { fileName: entry.name, files };
}

/** Fetches to the cache, where an interrupted download goes on, and links from there: the bytes are ours and never edited. */
async function placeRemote(entry: DatasetEntry, folder: string, sources: Sources): Promise<PlacedEntry> {
  const fetched = await fetchEntry(entry, sources);
  const single = entry.remote?.length === 1 ? entry.remote[0] : undefined;
  const ending = (path: string): string => path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const fileName = single === undefined ? entry.name : `${entry.name}.${ending(single.path)}`;
  const files: FileDigest[] = [];
  for (const { name, file } of fetched) {
    const placed = single === undefined ? `${entry.name}/${name}` : fileName;
    const target = join(folder, placed);
    await mkdir(dirname(target), { recursive: true });
    // Another file system, or one without links.
    await link(file, target).catch(() => copyFile(file, target));
    files.push({ path: placed, bytes: (await stat(target)).size, sha256: await sha256OfFile(target) });
  }
  return { fileName, files };
}

/** Fetches the files of an entry into the data directory's cache. */
export async function fetchEntry(
  { name, remote = [], sha256 }: Pick<DatasetEntry, "name" | "remote" | "sha256">,
  { dataDirectory, hubToken, context }: Sources,
): Promise<readonly { readonly name: string; readonly file: string }[]> {
  const cache = fetchedFolder(dataDirectory, sha256);
  const total = remote.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  let done = 0;
  let told = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    if (performance.now() - told < 500) return;
    told = performance.now();
    const of = total > 0 ? ` of ${formatBytes(total)}` : "";
    const fraction = total > 0 ? { fraction: Math.min(1, done / total) } : {};
    context.progress({ message: `fetching the dataset ${name}: ${formatBytes(done)}${of}`, ...fraction });
  };
  const fetched: { name: string; file: string }[] = [];
  const names = flatNames(remote.map(({ path }) => path));
  for (const [index, flat = ""] of names.entries()) {
    const one = remote[index];
    if (one === undefined) continue;
    const token = hubToken === undefined ? {} : { token: hubToken };
    const file = await fetchFile({ ...one, path: flat }, cache, {
      signal: context.signal,
      ...token,
      onBytes,
    });
    fetched.push({ name: flat, file });
  }
  return fetched;
}

/**
 * LLaMA-Factory does not look below a dataset's folder, and no name may lead out of it. Paths that become the same (of Chinese names
 * only the ending is left) get a number: one file must not stand for two.
 */
function flatNames(paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const plain = path.replace(/^[./]+/, "").replaceAll(/[^A-Za-z0-9_.-]+/g, "_");
    let name = plain;
    for (let number = 2; taken.has(name); number += 1) name = `${number}_${plain}`;
    taken.add(name);
    return name;
  });
}

/** Copies the bytes (a user's file is never linked: it may be edited in place). */
async function write(
  entry: Pick<DatasetEntry, "name" | "inline" | "file">,
  target: string,
  signal: AbortSignal,
): Promise<Omit<FileDigest, "path">> {
  const hash = createHash("sha256");
  let bytes = 0;
  if (entry.inline !== undefined) {
    const text = Buffer.from(entry.inline);
    await writeFile(target, text, { mode: 0o600, flush: true });
    return { bytes: text.length, sha256: hash.update(text).digest("hex") };
  }
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const from = createReadStream(entry.file ?? "");
  const to = createWriteStream(target, { mode: 0o600, flush: true });
  await pipeline(from, count, to, { signal }).catch(async (thrown: unknown) => {
    await rm(target, { force: true });
    throw readFault(entry, thrown);
  });
  return { bytes, sha256: hash.digest("hex") };
}

function changed(entry: DatasetEntry, found: string, wanted = entry.sha256): Fault {
  return new Fault({
    code: "dataset-changed",
    property: "datasets",
    message: `The dataset ${entry.name} changed since it was checked (sha256 ${found.slice(0, 12)} instead of ${wanted.slice(0, 12)}).`,
    next: "Run it again with the file as it is now.",
  });
}

function readFault(entry: Pick<DatasetEntry, "name" | "file">, thrown: unknown): unknown {
  const { code, path } = thrown as NodeJS.ErrnoException;
  if (code === undefined || path !== entry.file) return thrown;
  return new Fault({
    code: "dataset-missing",
    property: "datasets",
    message: `${entry.file ?? entry.name} can't be read (${code}).`,
    next: "Check the path and its permissions.",
  });
}
