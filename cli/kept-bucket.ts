import { deleteBucket, stackBucket } from "../hosts/aws-bucket.ts";
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
