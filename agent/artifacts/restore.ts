import { createHash } from "node:crypto";
import { renameSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import type { RunManifest } from "../../recipe/lifecycle.ts";
import { sha256OfFile, sizeOf, writeJson } from "../files.ts";
import { removeAside, sortCheckpoints } from "../runs/checkpoints.ts";
import type { RunPaths } from "../runs/paths.ts";
import type { S3Object } from "../s3/bucket.ts";
import { downloadObject } from "../s3/download.ts";
import type { OwnerRecord, Place, Published } from "./claim.ts";

/** What is needed to bring a run back. */
export interface Restoring {
  readonly place: Place;
  readonly paths: RunPaths;
  readonly record: OwnerRecord;
  /** All objects of the run. */
  readonly objects: readonly S3Object[];
  readonly guard: () => void;
  /** Hears what is not used, and why. */
  readonly note: (message: string) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Brings what is further than what is here: the artifact, and with it the run is complete; else the newest checkpoint whose files are as its
 * manifest says. What is not whole is named and not used. Returns the artifact's manifest, or the step that is gone on from.
 */
export async function restore(restoring: Restoring): Promise<RunManifest | number | undefined> {
  const { paths, record, guard, note } = restoring;
  const { artifact } = record;
  if (artifact !== undefined && isComplete(artifact) && (await brought(restoring, artifact)) === undefined) {
    for (const { path } of artifact.result.files) {
      const target = join(paths.output, path);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      guard();
      renameSync(join(paths.arriving, artifact.folder, path), target);
    }
    await writeJson(paths.manifest, artifact.result, guard);
    await removeAside(paths.arriving, paths.trash, guard);
    return artifact.result;
  }
  const { newest, quarantined } = await sortCheckpoints(paths, guard);
  for (const { name, why } of quarantined) {
    await note(`${name} is not complete (${why}): not used, moved to torn/`);
  }
  const further = record.checkpoints.filter(({ step }) => step > (newest?.step ?? 0)).toReversed();
  for (const checkpoint of further) {
    if ((await brought(restoring, checkpoint)) !== undefined) continue;
    await mkdir(paths.output, { recursive: true, mode: 0o700 });
    const target = join(paths.output, `checkpoint-${checkpoint.step}`);
    await removeAside(target, paths.trash, guard);
    guard();
    renameSync(join(paths.arriving, checkpoint.folder), target);
    await removeAside(paths.arriving, paths.trash, guard);
    return checkpoint.step;
  }
  return undefined;
}

/** Is each file of the result among those that are brought and compared? */
function isComplete({ files, result }: NonNullable<OwnerRecord["artifact"]>): boolean {
  const digests = new Set(files.map(({ path, sha256 }) => `${sha256} ${path}`));
  return result.files.every(({ path, sha256 }) => digests.has(`${sha256} ${path}`));
}

/** Brings the files of a folder to `arriving`; what is wrong with them, which is also noted, or undefined if they are whole. */
async function brought(restoring: Restoring, { folder, files }: Published): Promise<string | undefined> {
  const { place, note } = restoring;
  for (const file of files) {
    const damage = await bring(restoring, folder, file);
    if (damage === undefined) continue;
    await note(`${place.address}${folder} is not used: ${damage}`);
    return damage;
  }
  return undefined;
}

async function bring(
  { place, paths, objects, signal }: Restoring,
  folder: string,
  { path, bytes, sha256 }: Published["files"][number],
): Promise<string | undefined> {
  // Whoever can write in the bucket must not choose where on this machine.
  if (path.startsWith("/") || path.split("/").includes("..")) return `${path} leads out of it`;
  const key = `${place.prefix}${folder}/${path}`;
  const object = objects.find((one) => one.key === key);
  if (object === undefined) return `${path} is missing`;
  if (object.bytes !== bytes) return `${path} has ${object.bytes} bytes instead of ${bytes}`;
  const target = join(paths.arriving, folder, path);
  // An earlier try may have brought it.
  if ((await sizeOf(target)) === bytes && (await sha256OfFile(target).catch(() => "")) === sha256) return undefined;
  const name = createHash("sha256")
    .update(key + object.etag)
    .digest("hex");
  try {
    await downloadObject(place.bucket, { object, target, partial: join(paths.arriving, ".partial", name) }, signal);
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.blame !== "infrastructure") return `${path}: ${thrown.message}`;
    throw thrown;
  }
  if ((await sha256OfFile(target)) === sha256) return undefined;
  await rm(target);
  return `${path} was changed`;
}
