import { ownTags, tagNames } from "../recipe/aws/tags.ts";
import { awsFault } from "./aws-faults.ts";
import type { Place } from "./aws-machine.ts";

/** A data volume of a stack, as EC2 tells of it. */
export interface DataVolume {
  readonly id: string;
  readonly sizeGiB: number;
  readonly type: string;
}

/** The data volumes of a stack: one, none before its first `up`. Throws the Faults of aws-faults.ts. */
export async function dataVolumes({ region, stack }: Place): Promise<DataVolume[]> {
  const { DescribeVolumesCommand, EC2Client } = await import("@aws-sdk/client-ec2");
  const tags = { ...ownTags(stack), [tagNames.volume]: "data" };
  const Filters = Object.entries(tags).map(([name, value]) => ({ Name: `tag:${name}`, Values: [value] }));
  try {
    const { Volumes = [] } = await new EC2Client({ region }).send(new DescribeVolumesCommand({ Filters }));
    return Volumes.map(({ VolumeId = "", Size = 0, VolumeType = "gp3" }) => ({
      ...{ id: VolumeId, sizeGiB: Size, type: VolumeType },
    }));
  } catch (thrown) {
    throw awsFault(thrown, { action: "ec2:DescribeVolumes", region });
  }
}

/** Deletes a volume that is on no machine, and all that is on it. Throws the Faults of aws-faults.ts. */
export async function deleteVolume(id: string, region: string): Promise<void> {
  const { DeleteVolumeCommand, EC2Client } = await import("@aws-sdk/client-ec2");
  try {
    await new EC2Client({ region }).send(new DeleteVolumeCommand({ VolumeId: id }));
  } catch (thrown) {
    throw awsFault(thrown, { action: "ec2:DeleteVolume", region });
  }
}
