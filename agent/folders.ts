import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../recipe/fault.ts";
import type { Context } from "./context.ts";
import { isMissing, writeJson } from "./files.ts";
import { withLock } from "./lock.ts";

/** A folder that is built once and then only read: environment, weights, dataset. */
export interface FolderPlan<R> {
  /** Where it shall be. Its record is `.complete` inside, written last. */
  readonly path: string;
  readonly lock: string;
  /** For people: `the Python environment`. */
  readonly what: string;
  /** The record of an intact folder, undefined if it is missing, torn or damaged. */
  readonly read: () => Promise<R | undefined>;
  /** Fills `folder` and returns the record. Whatever it throws, the folder is removed. */
  readonly build: (folder: string) => Promise<R>;
  /** Bytes that the finished folder takes, for the message when the disk is full. */
  readonly expectedBytes?: number;
  /**
   * Build in this folder and leave it when the build fails, so that the next one can go on there (downloads). Only a full disk
   * removes it. Default: a new temporary sibling, always removed.
   */
  readonly partial?: string;
}

/** Name of the record that makes a folder complete. */
export const completeFile = ".complete";

/**
 * Builds the folder if it is not there, exactly once for any number of callers, in a temporary sibling that is renamed when it is
 * complete. Siblings that a killed process left are removed, under the lock.
 * Throws Fault `disk-full`, `data-directory` and what `build` throws.
 */
export async function buildOnce<R>(plan: FolderPlan<R>, context: Context): Promise<{ record: R; created: boolean }> {
  const ready = await plan.read();
  if (ready !== undefined) return { record: ready, created: false };
  return withLock(
    plan.lock,
    async () => {
      const meanwhile = await plan.read();
      if (meanwhile !== undefined) return { record: meanwhile, created: false };
      await removeLeftovers(plan.path);
      return { record: await buildAside(plan), created: true };
    },
    {
      signal: context.signal,
      onWait: () =>
        context.progress({ message: `waiting: another tuneup prepares ${plan.what} (${basename(plan.path)})` }),
    },
  );
}

async function buildAside<R>(plan: FolderPlan<R>): Promise<R> {
  const temporary = plan.partial ?? temporarySibling(plan.path);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const record = await plan.build(temporary);
    await writeJson(join(temporary, completeFile), record);
    await replaceFolder(temporary, plan.path);
    return record;
  } catch (thrown) {
    const fault = await storageFault(thrown, plan);
    const kept = plan.partial !== undefined && !(fault instanceof Fault && fault.code === "disk-full");
    if (!kept) await rm(temporary, { recursive: true, force: true, maxRetries: 5 });
    throw fault;
  }
}

function temporarySibling(path: string): string {
  return `${path}.tmp-${process.pid}-${randomBytes(4).toString("hex")}`;
}

/** Puts the folder `from` at `to`. What is at `to` (incomplete or damaged) is moved aside first, so that users of it keep their open files. */
export async function replaceFolder(from: string, to: string): Promise<void> {
  const aside = temporarySibling(to);
  try {
    await rename(to, aside);
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
  await rename(from, to);
  const parent = await open(dirname(to), "r");
  await parent.sync().finally(() => parent.close());
  await rm(aside, { recursive: true, force: true, maxRetries: 5 });
}

/** Removes temporary siblings of `path`. Only under its lock: then none of them has a living owner. */
export async function removeLeftovers(path: string): Promise<void> {
  const prefix = `${basename(path)}.tmp-`;
  const names = await readdir(dirname(path)).catch((thrown: unknown) => {
    if (isMissing(thrown)) return [];
    throw thrown;
  });
  for (const name of names.filter((name) => name.startsWith(prefix))) {
    await rm(join(dirname(path), name), { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Bytes free for us on the file system of the nearest existing folder at or above `path`. */
export async function freeBytes(path: string): Promise<number> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    } catch (thrown) {
      if (!isMissing(thrown) || folder === dirname(folder)) throw thrown;
    }
  }
}

/** `1.2 GB`, decimal units as disks are sold. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power] ?? ""}`;
}

const fullDisk = /No space left on device|os error 28|Errno 28|Disk quota exceeded|ENOSPC|EDQUOT/;

/** Does the text or error of a tool say that the disk is full? */
export function saysDiskFull(said: string): boolean {
  return fullDisk.test(said);
}

/** The Fault for a disk that is too small for `what`. */
export async function diskFullFault(what: string, folder: string, neededBytes?: number): Promise<Fault> {
  const free = await freeBytes(folder).catch(() => 0);
  const needed = neededBytes === undefined ? "" : `: it needs ${formatBytes(neededBytes)}`;
  return new Fault({
    code: "disk-full",
    property: "storage.dataDirectory",
    message: `The disk is too full for ${what}${needed}, and ${formatBytes(free)} are free at ${folder}.`,
    next: "Free some space there, or set `tuneup:storage.dataDirectory` to a larger disk.",
    blame: "infrastructure",
  });
}

async function storageFault<R>(thrown: unknown, plan: FolderPlan<R>): Promise<unknown> {
  if (thrown instanceof Fault) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return diskFullFault(plan.what, dirname(plan.path), plan.expectedBytes);
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new Fault({
      code: "data-directory",
      property: "storage.dataDirectory",
      message: `${plan.what} can't be written to ${dirname(plan.path)} (${message}).`,
      next: "Set `tuneup:storage.dataDirectory` to a folder that you may write to.",
    });
  }
  return thrown;
}
