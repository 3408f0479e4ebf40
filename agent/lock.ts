import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

/** A lock that the kernel drops when its process dies, however it dies: nothing is ever left to clean up. */
export interface HeldLock {
  release(): void;
}

const sqliteBusy = 5;

/**
 * Takes the exclusive lock at `path`, or returns undefined if a live process holds it.
 * It is the POSIX lock that SQLite takes for an exclusive transaction: Node has no other way to a kernel lock.
 */
export function tryLock(path: string): HeldLock | undefined {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const before = inodeOf(path);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // A journal in memory leaves no second file that a killed process would have to roll back.
    database.exec("PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE");
  } catch (thrown) {
    database.close();
    if ((thrown as { errcode?: number }).errcode === sqliteBusy) return undefined;
    throw thrown;
  }
  // Moved away between: what we locked is not what others see at this path.
  if (before !== undefined && before !== inodeOf(path)) {
    database.close();
    return undefined;
  }
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/**
 * Is the lock at `path` held by a live process? Looks through a shared lock, so that two who look don't see each other; but whoever
 * takes the lock in that instant finds it busy, so a taker tries for a moment before it gives up.
 */
export function isLocked(path: string): boolean {
  if (!existsSync(path)) return false;
  let database;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
    database.exec("BEGIN; SELECT count(*) FROM sqlite_schema");
    return false;
  } catch (thrown) {
    if ((thrown as { errcode?: number }).errcode === sqliteBusy) return true;
    throw thrown;
  } finally {
    database?.close();
  }
}

/** Waits for the lock at `path`. `onWait` is called once if somebody else holds it. */
export async function waitForLock(
  path: string,
  options: { readonly signal?: AbortSignal; readonly onWait?: () => void; readonly pollMs?: number } = {},
): Promise<HeldLock> {
  for (let waited = false; ;) {
    const lock = tryLock(path);
    if (lock !== undefined) return lock;
    if (!waited) options.onWait?.();
    waited = true;
    await delay(options.pollMs ?? 200, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** Runs `work` under the lock at `path`, waiting for it first. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: Parameters<typeof waitForLock>[1] = {},
): Promise<T> {
  const lock = await waitForLock(path, options);
  try {
    return await work();
  } finally {
    lock.release();
  }
}
