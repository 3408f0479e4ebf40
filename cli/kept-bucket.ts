import { artifactDamage, artifactFolder } from "../hosts/artifact.ts";
import { deleteBucket, runsInBucket, stackBucket } from "../hosts/aws-bucket.ts";
import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { say } from "./language/say.ts";

/**
 * After a stack with spot capacity was destroyed: deletes its own bucket with `purge`, else leaves it. Returns a sentence that says which; undefined where
 * it has none, since its runs are in a bucket of the user's. Throws the Faults of hosts/aws-bucket.ts.
 */
export async function settleBucket(
  place: AwsHostSpec,
  { purge, signal }: { readonly purge: boolean; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const bucket = await stackBucket(place);
  if (bucket === undefined) return undefined;
  const facts = { bucket, experiment: place.stack };
  if (!purge) return say("down.bucket", facts);
  await deleteBucket(bucket, place.region, signal);
  return say("down.bucket.purged", facts);
}

/** The bucket that `down --purge` is to delete with the rest; undefined where the stack has none of its own. */
export function doomed(place: AwsHostSpec): Promise<string | undefined> {
  return stackBucket(place);
}

/**
 * Before such a bucket is deleted and no machine is there that could bring anything: throws Fault `purge-unseen` where it has what a complete run left, and
 * `home`, this machine's data directory, has no whole copy. Throws the Faults of hosts/aws-bucket.ts.
 */
export async function requireCopies(
  bucket: string,
  { stack, region }: AwsHostSpec,
  { home, signal }: { readonly home: string; readonly signal: AbortSignal },
): Promise<void> {
  const lacking: string[] = [];
  for (const run of await runsInBucket(bucket, { stack, region }, signal))
    if ((await artifactDamage(artifactFolder(home, stack, run), home)) !== undefined) lacking.push(run);
  if (lacking.length === 0) return;
  throw new Fault({
    code: "purge-unseen",
    message: `What ${lacking.join(", ")} left lies in the bucket ${bucket} alone, and no machine of ${stack} runs that could bring it here.`,
    next: `Copy it from there, or \`npx tuneup down ${stack} --purge --discard\` deletes it all the same.`,
  });
}
