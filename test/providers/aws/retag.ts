import type { Wire } from "../../../provider/values.ts";
import { bagOf } from "../protocol/provider.ts";
import type { Clients } from "./clients.ts";
import { tagBucket } from "./kinds/bucket.ts";
import { tagList } from "./kind.ts";

const ofEc2 = /^(i|vol|vpc|subnet|rtb|igw|eipalloc|nat|sg|sgr|vpce|lt)-/;

/** Gives a resource the tags of its new inputs. */
export async function retag(
  aws: Clients,
  id: string,
  urn: string,
  { inputs, olds }: { readonly inputs: Wire; readonly olds: Wire },
): Promise<void> {
  const { ec2, iam } = aws;
  const [before, now] = [bagOf(olds["tags"]), bagOf(inputs["tags"])] as Record<string, string>[];
  const set = tagList(Object.fromEntries(Object.entries(now ?? {}).filter(([key, value]) => before?.[key] !== value)));
  const gone = Object.keys(before ?? {}).filter((key) => !(key in (now ?? {})));
  if (ofEc2.test(id)) {
    if (set.length > 0) await ec2.createTags({ Resources: [id], Tags: set });
    if (gone.length > 0) await ec2.deleteTags({ Resources: [id], Tags: gone.map((Key) => ({ Key })) });
  } else if (urn.includes("aws:iam/role:Role::")) {
    if (set.length > 0) await iam.tagRole({ RoleName: id, Tags: set });
    if (gone.length > 0) await iam.untagRole({ RoleName: id, TagKeys: gone });
  } else if (urn.includes("aws:s3/bucket:Bucket::")) {
    if (set.length > 0 || gone.length > 0) await tagBucket(aws, id, now ?? {});
  } else if (urn.includes("aws:iam/instanceProfile:InstanceProfile::")) {
    if (set.length > 0) await iam.tagInstanceProfile({ InstanceProfileName: id, Tags: set });
    if (gone.length > 0) await iam.untagInstanceProfile({ InstanceProfileName: id, TagKeys: gone });
  }
}
