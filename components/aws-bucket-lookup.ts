import { type InvokeOptions, RunError } from "../provider/pulumi.ts";
import { getCallerIdentity } from "@pulumi/aws/getCallerIdentity.js";
import { getResources } from "@pulumi/aws/resourcegroupstaggingapi/getResources.js";
import { bucketIn, bucketName } from "../recipe/aws/bucket.ts";
import { ownTags, tagNames, type Tags } from "../recipe/aws/tags.ts";
import { told } from "./aws-told.ts";

/** The bucket of a stack's own: that which is there, or is to be. */
export interface FoundBucket {
  readonly name: string;
  /** Those that a user may set; undefined where it is not there yet. */
  readonly tags: Tags | undefined;
}

/** Asks AWS for the bucket with the stack's tags. Throws RunError where there are several, and with what AWS refused. */
export async function bucketOf(
  { stack, region }: { readonly stack: string; readonly region: string },
  options: InvokeOptions,
): Promise<FoundBucket> {
  const what = `the bucket of ${stack}`;
  const tagFilters = Object.entries({ ...ownTags(stack), [tagNames.bucket]: "runs" }).map(([key, value]) => ({
    key,
    values: [value],
  }));
  const { resourceTagMappingLists: all } = await told(what, () =>
    getResources({ tagFilters, resourceTypeFilters: ["s3"] }, options),
  );
  const found = all.flatMap(({ resourceArn, tags }) => {
    const name = bucketIn(resourceArn);
    return name === undefined ? [] : [{ name, tags: settable(tags) }];
  });
  const [bucket, ...others] = found;
  if (others.length > 0) {
    const names = found.map(({ name }) => name).toSorted();
    throw new RunError(
      `There are ${found.length} buckets with the tags of ${stack} in ${region}: ${names.join(", ")}. Delete or untag all but the one with the runs.`,
    );
  }
  if (bucket !== undefined) return bucket;
  const { accountId: account } = await told("whose credentials these are", () => getCallerIdentity({}, options));
  return { name: bucketName({ stack, account, region }), tags: undefined };
}

/** AWS's own tags can't be set. */
function settable(tags: Tags): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !name.startsWith("aws:")));
}
