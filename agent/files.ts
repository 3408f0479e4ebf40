import { createHash, randomBytes } from "node:crypto";
import { createReadStream, renameSync } from "node:fs";
import { appendFile, lstat, mkdir, open, readFile, readdir, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import type { z } from "zod";
import type { FileDigest } from "../recipe/lifecycle.ts";

/**
 * Creates `folder` with its missing parents, mode 0700. Not `mkdir` with `recursive`: where the kernel refuses with
 * ENOENT, as below /proc, Node's tries for ever on all cores.
 */
export async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(folder);
  const failure = await makeOne(folder);
  if (failure === undefined) return;
  if (failure.code !== "ENOENT" || parent === folder) throw failure;
  // Somebody else may have made the parent since.
  if (!(await exists(parent))) await makeFolder(parent);
  const again = await makeOne(folder);
  if (again !== undefined) throw again;
}

/** Why `folder` could not be made; undefined where it is there now. */
async function makeOne(folder: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(folder, { mode: 0o700 });
    return undefined;
  } catch (thrown) {
    const failure = thrown as NodeJS.ErrnoException;
    return failure.code === "EEXIST" && (await stat(folder)).isDirectory() ? undefined : failure;
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

/** fontconfig makes its folder in a cache readable by everybody where it is not there yet. `cache`: XDG_CACHE_HOME of what is to be started. */
export async function makeFontCache(cache: string): Promise<void> {
  await makeFolder(`${cache}/fontconfig`);
}

/**
 * Replaces the file at `path` atomically and durably: readers see the old text or the new, also after a crash. `guard` is called
 * right before the replacing, in the same turn: what it throws leaves the file as it was.
 */
export async function writeAtomically(path: string, text: string, mode = 0o600, guard?: () => void): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    guard?.();
    renameSync(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
}

/** `value` as JSON, replaced atomically. */
export function writeJson(path: string, value: unknown, guard?: () => void): Promise<void> {
  return writeAtomically(path, `${JSON.stringify(value, null, 2)}\n`, 0o600, guard);
}

/** The record at `path`; undefined if it is missing, empty, not JSON or not of the schema: a torn record is no record. */
export async function readRecord<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S> | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Appends one JSON line. */
export function appendLine(path: string, value: unknown): Promise<void> {
  return appendFile(path, `${JSON.stringify(value)}\n`, { mode: 0o600 });
}

/** All lines of a JSONL file that fit the schema; a torn last line is left out. A missing file is empty. */
export async function readLines<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
  return text.split("\n").flatMap((line) => {
    try {
      const parsed = schema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

/** Does the error say that the file or folder is not there? */
export function isMissing(thrown: unknown): boolean {
  const code = (thrown as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** sha256 of a file's bytes, as hex, read as a stream. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Every regular file below `folder` (relative POSIX paths, sorted) for which `keep` holds. */
export async function filesBelow(folder: string, keep: (path: string) => boolean = () => true): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter(keep)
    .sort();
}

/** Digests of the files below `folder`. */
export async function digestsBelow(folder: string, keep?: (path: string) => boolean): Promise<FileDigest[]> {
  const digests: FileDigest[] = [];
  for (const path of await filesBelow(folder, keep)) {
    const whole = join(folder, path);
    digests.push({ path, bytes: (await lstat(whole)).size, sha256: await sha256OfFile(whole) });
  }
  return digests;
}

/** Bytes of all files below `folder`; 0 if it is missing. Links are counted as themselves. */
export async function bytesBelow(folder: string): Promise<number> {
  let entries;
  try {
    entries = await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (thrown) {
    if (isMissing(thrown)) return 0;
    throw thrown;
  }
  const sizes = await Promise.all(
    entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) =>
        lstat(join(entry.parentPath, entry.name)).then(
          (stats) => stats.size,
          () => 0,
        ),
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Bytes of a file; 0 where there is none. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (thrown) {
    if (isMissing(thrown)) return 0;
    throw thrown;
  }
}
