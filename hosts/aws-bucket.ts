import { type Bucket, element, listObjects, openBucket, s3Fault } from "../agent/s3/bucket.ts";
import { insistOn } from "../agent/s3/upload.ts";
import { bucketIn } from "../recipe/aws/bucket.ts";
import { ownTags, tagNames } from "../recipe/aws/tags.ts";
import { Fault } from "../recipe/fault.ts";
import { s3AccessOf } from "../recipe/s3-access.ts";
import { awsFault } from "./aws-faults.ts";
import type { Place } from "./aws-machine.ts";

/** The bucket of a stack's own; undefined where it has none. Throws Fault `bucket-several`, and those of aws-faults.ts. */
export async function stackBucket({ stack, region }: Place): Promise<string | undefined> {
  const found: string[] = [];
  try {
    const sdk = await import("@aws-sdk/client-resource-groups-tagging-api");
    const client = new sdk.ResourceGroupsTaggingAPIClient({ region });
    const tags = Object.entries({ ...ownTags(stack), [tagNames.bucket]: "runs" });
    const TagFilters = tags.map(([Key, value]) => ({ Key, Values: [value] }));
    for await (const page of sdk.paginateGetResources({ client }, { TagFilters, ResourceTypeFilters: ["s3"] })) {
      for (const { ResourceARN = "" } of page.ResourceTagMappingList ?? []) found.push(bucketIn(ResourceARN) ?? "");
    }
  } catch (thrown) {
    throw awsFault(thrown, { action: "tag:GetResources", region });
  }
  const [bucket, ...others] = found.filter((name) => name !== "");
  if (others.length === 0) return bucket;
  throw new Fault({
    code: "bucket-several",
    property: "aws",
    message: `There are ${found.length} buckets with the tags of ${stack} in ${region}, and one stack has one: ${found.toSorted().join(", ")}.`,
    next: "Delete or untag those that are not wanted, then run this again.",
  });
}

/** Names of the complete runs whose artifacts are in a stack's bucket. Throws the Faults of the bucket. */
export async function runsInBucket(name: string, { stack, region }: Place, signal: AbortSignal): Promise<string[]> {
  const objects = await listObjects(openOwn(name, region), `${stack}/runs/`, signal);
  return objects.flatMap(({ key }) => /^[^/]+\/runs\/([^/]+)\/manifest\.json$/.exec(key)?.[1] ?? []);
}

/** So many versions are deleted at once. */
const atOnce = 16;

/** Deletes a bucket with every version of everything in it. What is deleted already stays deleted if it is interrupted. Throws the Faults of the bucket. */
export async function deleteBucket(name: string, region: string, signal: AbortSignal): Promise<void> {
  const bucket = openOwn(name, region);
  for (;;) {
    const query = { versions: "" };
    const { answer, text } = await insistOn(bucket, ["GET", "", { signal, query }]);
    if (!answer.ok) throw s3Fault(bucket, answer.status, text);
    const versions = versionsIn(text);
    if (versions.length === 0) break;
    for (let from = 0; from < versions.length; from += atOnce) {
      await Promise.all(versions.slice(from, from + atOnce).map((version) => remove(bucket, version, signal)));
    }
  }
  await remove(bucket, { key: "" }, signal);
}

interface Version {
  readonly key: string;
  readonly versionId?: string;
}

/** Of S3's ListObjectVersions, marks of what was deleted among them. */
function versionsIn(xml: string): Version[] {
  return [...xml.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(([, , one = ""]) => ({
    key: element(one, "Key") ?? "",
    versionId: element(one, "VersionId") ?? "null",
  }));
}

async function remove(bucket: Bucket, { key, versionId }: Version, signal: AbortSignal): Promise<void> {
  const query = versionId === undefined ? {} : { versionId };
  const { answer, text } = await insistOn(bucket, ["DELETE", key, { signal, query }]);
  if (!answer.ok && answer.status !== 404) throw s3Fault(bucket, answer.status, text);
}

function openOwn(name: string, region: string): Bucket {
  const { endpoint } = s3AccessOf(process.env);
  return openBucket(name, async () => ({ ...(await ownKeys(region)), region, endpoint }), "artifacts");
}

/** The user's own keys, by the SDK's standard chain: variables, a profile, SSO. */
async function ownKeys(region: string) {
  try {
    const { EC2Client } = await import("@aws-sdk/client-ec2");
    const { accessKeyId, secretAccessKey, sessionToken } = await new EC2Client({ region }).config.credentials();
    return { accessKeyId, secretAccessKey, sessionToken };
  } catch (thrown) {
    throw awsFault(thrown, { action: "s3:DeleteBucket", region });
  }
}
