import { rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { z } from "zod";
import type { Layout } from "../../recipe/layout.ts";
import { readRecord, writeJson } from "../files.ts";
import { type HeldLock, isLocked, waitForLock } from "../lock.ts";
import { fencedAlive, killFenced } from "./fence.ts";
import type { RunPaths } from "./paths.ts";

const holder = z.object({ run: z.string(), token: z.string().optional() });

const leaseOf = (layout: Layout): string => `${layout.locks}/trainer-lease`;

/**
 * Waits for the right to train on this host: one GPU, one holder, and two trainings on the same cores would only slow each other.
 * The kernel takes it back when the holder dies. `onWait` hears for whom it waits. Rejects if `signal` is aborted.
 */
export async function takeTrainerLease(
  layout: Layout,
  who: { readonly run: string; readonly token: string },
  options: { readonly signal: AbortSignal; readonly onWait: (holder: string | undefined) => void },
): Promise<HeldLock> {
  const path = leaseOf(layout);
  const name = `${path}.json`;
  const tell = async (): Promise<void> => options.onWait((await readRecord(name, holder))?.run);
  const lock = await waitForLock(path, { signal: options.signal, onWait: () => void tell() });
  // The lock itself decides. The name is for people, and for who takes over from a supervisor that is stopped.
  await writeJson(name, who).catch(() => undefined);
  return {
    release: () => {
      rmSync(name, { force: true });
      lock.release();
    },
  };
}

/**
 * Takes the lease from supervisors of this run that were shut out and still live. It is theirs as long as its record carries their
 * token: a living holder takes the record away before it gives the lease back. One that was stopped between taking the lease and
 * writing its name can't be told from another run's holder, so those who were shut out are ended: with them goes what they hold.
 */
export async function breakLeaseOf(layout: Layout, run: string, paths: Pick<RunPaths, "fenced">): Promise<void> {
  const path = leaseOf(layout);
  const fenced = await fencedAlive(paths);
  if (fenced.length === 0 || !isLocked(path)) return;
  const found = await readRecord(`${path}.json`, holder);
  if (found?.run !== run || found.token === undefined || !fenced.includes(found.token)) {
    for (const token of fenced) await killFenced(paths, token);
    return;
  }
  await rm(`${path}.json`, { force: true });
  // The lock goes with the file: what takes its name is free.
  await rm(path, { force: true });
}
