import { type InvokeOptions, RunError } from "../provider/pulumi.ts";
import { getAmiIds as getGroups } from "@pulumi/aws/autoscaling/getAmiIds.js";
import { getGroup } from "@pulumi/aws/autoscaling/getGroup.js";
import { getInstances } from "@pulumi/aws/ec2/getInstances.js";
import { getAmi } from "@pulumi/aws/ec2/getAmi.js";
import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones.js";
import { ownTags, type Tags } from "../recipe/aws/tags.ts";
import { bucketOf, type FoundBucket } from "./aws-bucket-lookup.ts";
import { told } from "./aws-told.ts";

/** The root disk of an image. */
export interface FoundImage {
  /** Such as /dev/sda1. */
  readonly rootDevice: string;
  readonly rootGiB: number;
}

/** The group of a stack, as AWS has it. */
export interface FoundGroup {
  readonly name: string;
  /** Is it to have a machine? Not after an end. */
  readonly isOn: boolean;
  readonly hasMachine: boolean;
  /** How many of its machines are to be on demand. */
  readonly onDemandBase: number;
  readonly tags: Tags;
}

/** What is in AWS already of a stack with spot capacity. */
export interface FoundSpot {
  readonly image: FoundImage;
  readonly group: FoundGroup | undefined;
  /** The stack's own bucket; undefined where the file names one. */
  readonly bucket: FoundBucket | undefined;
  /** All zones of the region, that which is asked for first. */
  readonly zones: readonly string[];
}

/** What is asked, and for which stack. */
export interface SpotQuestion {
  readonly stack: string;
  readonly region: string;
  readonly zone: string;
  /** Id of the image. */
  readonly ami: string;
  /** Has the stack a bucket of its own? */
  readonly ownBucket: boolean;
}

/** Asks AWS what is there. Throws RunError with one sentence about what is missing or refused. */
export async function lookUpSpot(question: SpotQuestion, options: InvokeOptions): Promise<FoundSpot> {
  const { stack, region, ami, ownBucket } = question;
  const [image, group, bucket, zones] = await Promise.all([
    imageOf(ami, options),
    groupOf(stack, options),
    ownBucket ? bucketOf({ stack, region }, options) : undefined,
    zonesOf(question, options),
  ]);
  return { image, group, bucket, zones };
}

async function imageOf(ami: string, options: InvokeOptions): Promise<FoundImage> {
  const { rootDeviceName: rootDevice, blockDeviceMappings } = await told(`the disks of the image ${ami}`, () =>
    getAmi({ filters: [{ name: "image-id", values: [ami] }], includeDeprecated: true }, options),
  );
  const root = blockDeviceMappings.find(({ deviceName }) => deviceName === rootDevice);
  const rootGiB = Number(root?.ebs["volume_size"] ?? root?.ebs["volumeSize"]);
  if (rootGiB > 0) return { rootDevice, rootGiB };
  throw new RunError(
    `tuneup:aws.amiParameter: the image ${ami} has no root disk on EBS whose size it tells (${rootDevice || "none"}), and with spot capacity the data lies there. Name another image.`,
  );
}

async function groupOf(stack: string, options: InvokeOptions): Promise<FoundGroup | undefined> {
  const what = `the group of ${stack}`;
  const filters = Object.entries(ownTags(stack)).map(([name, value]) => ({ name: `tag:${name}`, values: [value] }));
  const { names } = await told(what, () => getGroups({ filters }, options));
  const [name, ...others] = names;
  if (name === undefined) return undefined;
  if (others.length > 0) {
    throw new RunError(
      `There are ${names.length} groups with the tags of ${stack}: ${names.toSorted().join(", ")}. Delete or untag all but that of this stack.`,
    );
  }
  const [{ desiredCapacity, tags, mixedInstancesPolicies }, { ids }] = await Promise.all([
    told(what, () => getGroup({ name }, options)),
    told(`the machine of ${stack}`, () =>
      getInstances({ instanceTags: ownTags(stack), instanceStateNames: ["pending", "running"] }, options),
    ),
  ]);
  const pairs = tags.map(({ key, value }) => [key, value] as const);
  const onDemandBase = mixedInstancesPolicies[0]?.instancesDistributions[0]?.onDemandBaseCapacity ?? 0;
  const is = { isOn: desiredCapacity > 0, hasMachine: ids.length > 0, onDemandBase };
  return { name, ...is, tags: Object.fromEntries(pairs) };
}

async function zonesOf({ region, zone }: SpotQuestion, options: InvokeOptions): Promise<readonly string[]> {
  const filters = [{ name: "zone-type", values: ["availability-zone"] }];
  const { names } = await told(`the zones of ${region}`, () => getAvailabilityZones({ filters }, options));
  return [zone, ...names.toSorted().filter((name) => name !== zone)];
}
