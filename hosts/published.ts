import { placeOfRun, readOwner } from "../agent/artifacts/claim.ts";
import { listObjects, openBucket } from "../agent/s3/bucket.ts";
import { canonicalJson } from "../recipe/canonical.ts";
import type { RunManifest } from "../recipe/lifecycle.ts";
import type { RunSpec } from "../recipe/protocol.ts";
import { s3AccessOf } from "../recipe/s3-access.ts";

/** A bucket that can't be reached from here proves nothing: nobody waits longer for it. */
const patienceMs = 20_000;

/**
 * Does the bucket of a run have what that manifest says, file by file and in its sizes? S3 compared their bytes with their digests when they were sent.
 * Asked from this machine, with the keys of `environment`; false where they do not let us look.
 */
export async function isPublished(
  { artifacts, experiment, run }: Pick<RunSpec, "artifacts" | "experiment" | "run">,
  manifest: RunManifest,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  if (artifacts === undefined) return false;
  const signal = AbortSignal.timeout(patienceMs);
  try {
    const open = (bucket: string) => openBucket(bucket, s3AccessOf(environment), "artifacts");
    const place = placeOfRun({ artifacts, experiment, run }, open);
    const artifact = (await readOwner(place, signal))?.record.artifact;
    if (artifact === undefined || canonicalJson(artifact.result) !== canonicalJson(manifest)) return false;
    const folder = `${place.prefix}${artifact.folder}/`;
    const there = new Map((await listObjects(place.bucket, folder, signal)).map(({ key, bytes }) => [key, bytes]));
    return manifest.files.every(({ path, bytes }) => there.get(folder + path) === bytes);
  } catch {
    return false;
  }
}
