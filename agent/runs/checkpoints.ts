import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { isMissing, readRecord, sha256OfFile } from "../files.ts";
import type { RunPaths } from "./paths.ts";

/** Name of the marker that the trainer writes into a checkpoint once its files are on the disk. */
export const markerName = ".tuneup-complete";

const marker = z.object({
  schemaVersion: z.literal(1),
  step: z.int(),
  /** Does it hold the optimizer's state? A user's `save_only_model: true` leaves it out. */
  resumable: z.boolean(),
  files: z.array(z.object({ path: z.string(), bytes: z.int(), sha256: z.string().optional() })),
});

type Files = z.infer<typeof marker>["files"];

/** A checkpoint from which a run can go on. */
export interface Checkpoint {
  readonly path: string;
  readonly step: number;
  /** Were all its bytes compared with their digests? A large file has none. */
  readonly proven: boolean;
}

/** Is the path, relative to `output/`, part of a checkpoint? */
export function isCheckpointPath(path: string): boolean {
  return /^checkpoint-\d+(\/|$)/.test(path);
}

/** A checkpoint that is not used, and why. */
export interface TornCheckpoint {
  readonly name: string;
  readonly why: string;
}

/**
 * The newest complete checkpoint in `output`, its files as they were when they were marked. Those without a valid marker, torn by a
 * kill, and damaged ones are moved to `torn`, of which the newest is kept: LLaMA-Factory would resume from one of them, and count
 * them when it drops old ones. `guard` is called right before each change, in the same turn.
 */
export async function sortCheckpoints(
  { output, torn, trash }: Pick<RunPaths, "output" | "torn" | "trash">,
  guard: () => void = () => undefined,
): Promise<{ readonly newest: Checkpoint | undefined; readonly quarantined: readonly TornCheckpoint[] }> {
  const names = (await namesIn(output))
    .filter((name) => /^checkpoint-\d+$/.test(name))
    .sort((a, b) => stepOf(b) - stepOf(a));
  const quarantined: TornCheckpoint[] = [];
  let newest: Checkpoint | undefined;
  for (const name of names) {
    const path = join(output, name);
    const found = await readRecord(join(path, markerName), marker);
    const isNext = newest === undefined && found?.resumable === true;
    // Only the one that is gone on from is read whole: the others are looked at when it is their turn.
    const why = found === undefined ? "it has no marker" : await damageIn(path, found.files, isNext);
    if (why !== undefined) {
      if (quarantined.length === 0) await quarantine(path, { torn, trash }, guard);
      else await removeAside(path, trash, guard);
      quarantined.push({ name, why });
    } else if (found !== undefined && isNext) {
      newest = { path, step: found.step, proven: found.files.every(({ sha256 }) => sha256 !== undefined) };
    }
  }
  return { newest, quarantined };
}

function stepOf(name: string): number {
  return Number(name.slice("checkpoint-".length));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
}

/** What is wrong with the first file that is not as its marker says: sizes first, then, if `whole`, the bytes themselves. */
async function damageIn(folder: string, files: Files, whole: boolean): Promise<string | undefined> {
  for (const { path, bytes } of files) {
    const stats = await lstat(join(folder, path)).catch(() => undefined);
    if (stats === undefined) return `${path} is missing`;
    if (stats.size !== bytes) return `${path} has ${stats.size} bytes instead of ${bytes}`;
  }
  for (const { path, sha256 } of whole ? files : []) {
    if (sha256 !== undefined && (await sha256OfFile(join(folder, path))) !== sha256) return `${path} was changed`;
  }
  return undefined;
}

/** Moves a checkpoint to `torn`, in place of the one that was there. `guard` is called right before each change. */
export async function quarantine(
  path: string,
  { torn, trash }: Pick<RunPaths, "torn" | "trash">,
  guard: () => void,
): Promise<void> {
  await removeAside(torn, trash, guard);
  await mkdir(torn, { recursive: true, mode: 0o700 });
  guard();
  renameSync(path, join(torn, basename(path)));
}

/**
 * Removes a file or folder of a run. Renamed into `trash` first: that is one step, while a removal that is interrupted in the middle and goes
 * on later would meet what another supervisor has put there since.
 */
export async function removeAside(path: string, trash: string, guard: () => void): Promise<void> {
  const aside = join(trash, randomBytes(6).toString("hex"));
  await mkdir(trash, { recursive: true, mode: 0o700 });
  guard();
  try {
    renameSync(path, aside);
  } catch (thrown) {
    if (isMissing(thrown)) return;
    throw thrown;
  }
  await emptyTrash(trash);
}

/** Removes what was set aside, also by a supervisor that was killed meanwhile: nobody needs it. */
export async function emptyTrash(trash: string): Promise<void> {
  await rm(trash, { recursive: true, force: true, maxRetries: 5 });
}
