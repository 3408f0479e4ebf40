import { artifactDamage, artifactFolder } from "../hosts/artifact.ts";
import { deleteBucket, runsInBucket, stackBucket } from "../hosts/aws-bucket.ts";
import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { say } from "./language/say.ts";

/**
 * After a stack on AWS was destroyed: deletes the bucket of its own that spot capacity had with `purge`, else leaves it. Returns a sentence that says which;
 * undefined where there is none, since its runs are on a volume or in a bucket of the user's. Throws the Faults of hosts/aws-bucket.ts.
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

/**
 * Before such a bucket is deleted: throws Fault `purge-unseen` where it has what a complete run left that no machine has (`known`: the runs that one has),
 * and `home`, this machine's data directory, has no whole copy. Throws the Faults of hosts/aws-bucket.ts.
 */
export async function requireCopies(
  bucket: string,
  { stack, region }: AwsHostSpec,
  {
    home,
    known = [],
    signal,
  }: { readonly home: string; readonly known?: readonly string[]; readonly signal: AbortSignal },
): Promise<void> {
  const lacking: string[] = [];
  for (const run of await runsInBucket(bucket, { stack, region }, signal))
    if (!known.includes(run) && (await artifactDamage(artifactFolder(home, stack, run), home)) !== undefined)
      lacking.push(run);
  if (lacking.length === 0) return;
  throw new Fault({
    code: "purge-unseen",
    message: `What ${lacking.join(", ")} left lies in the bucket ${bucket} alone, and no machine of ${stack} has it.`,
    next: `Copy it (\`aws s3 sync s3://${bucket}/${stack}/runs/${lacking[0] ?? ""} ${lacking[0] ?? ""}\`), or \`npx tuneup down ${stack} --purge --discard\` deletes it all the same.`,
  });
}
