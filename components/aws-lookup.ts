import { type InvokeOptions, RunError } from "../provider/pulumi.ts";
import { getEbsVolumes } from "@pulumi/aws/ebs/getEbsVolumes.js";
import { getVolume } from "@pulumi/aws/ebs/getVolume.js";
import { getInstance } from "@pulumi/aws/ec2/getInstance.js";
import { getInstances } from "@pulumi/aws/ec2/getInstances.js";
import { getSubnets } from "@pulumi/aws/ec2/getSubnets.js";
import { getVpc } from "@pulumi/aws/ec2/getVpc.js";
import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones.js";
import { getParameter } from "@pulumi/aws/ssm/getParameter.js";
import type { AwsConfig } from "../recipe/aws/config.ts";
import { ownTags, tagNames, type Tags } from "../recipe/aws/tags.ts";
import { type FoundSpot, lookUpSpot } from "./aws-spot-lookup.ts";
import { told } from "./aws-told.ts";

/** The data volume of a stack, as AWS has it. */
export interface FoundVolume {
  readonly id: string;
  readonly sizeGiB: number;
  readonly type: string;
  /** Those that a user may set. */
  readonly tags: Tags;
  /** Is it on a machine, or on its way? */
  readonly attached: boolean;
}

/** A network that is not ours. */
export interface GivenNetwork {
  readonly vpcId: string;
  readonly subnetId: string;
  /** All of them, where a machine may be in any zone. Default: that one. */
  readonly subnetIds?: readonly string[];
  /** Where a load balancer is to stand: two public ones, that of the machine's zone first. Default: none is. */
  readonly publicSubnetIds?: readonly string[];
}

/** What is in AWS before anything is declared. */
export interface Found {
  /** Id of the image. */
  readonly ami: string;
  readonly volume: FoundVolume | undefined;
  /** Tags of the machine that runs; undefined where none does. */
  readonly machineTags: Tags | undefined;
  /** Undefined for an own network. */
  readonly network: GivenNetwork | undefined;
  /** Another zone of the region, where an own network needs two; undefined where one will do. */
  readonly secondZone: string | undefined;
  /** What a group of spot capacity needs to know; undefined on demand. */
  readonly spot: FoundSpot | undefined;
}

/** What is asked, and for which stack. */
export interface Question {
  readonly stack: string;
  readonly config: Pick<AwsConfig, "region" | "vpc" | "amiParameter" | "publicChat" | "spot">;
  readonly zone: string;
  /** `tuneup:storage.artifacts`. Default: with spot capacity a bucket of the stack's own. */
  readonly artifacts?: string | undefined;
}

/** Asks AWS what is there. Throws RunError with one sentence about what is missing or does not fit. */
export async function lookUp(question: Question, options: InvokeOptions): Promise<Found> {
  const [{ ami, volume, machineTags, spot }, network, secondZone] = await Promise.all([
    question.config.spot ? groupOf(question, options) : machineOf(question, options),
    networkOf(question, options),
    secondZoneOf(question, options),
  ]);
  return { ami, volume, machineTags, network, secondZone, spot };
}

type Machine = Pick<Found, "ami" | "volume" | "machineTags" | "spot">;

async function machineOf(question: Question, options: InvokeOptions): Promise<Machine> {
  const [ami, volume, machineTags] = await Promise.all([
    imageOf(question, options),
    volumeOf(question, options),
    machineTagsOf(question, options),
  ]);
  return { ami, volume, machineTags, spot: undefined };
}

/** A group has a machine as long as it is to have one, also while AWS looks for the next. */
async function groupOf(question: Question, options: InvokeOptions): Promise<Machine> {
  const { stack, zone, artifacts, config } = question;
  const ami = await imageOf(question, options);
  const place = { stack, zone, ami, region: config.region, ownBucket: artifacts === undefined };
  const spot = await lookUpSpot(place, options);
  return { ami, spot, volume: undefined, machineTags: spot.group?.isOn === true ? spot.group.tags : undefined };
}

async function imageOf({ config }: Question, options: InvokeOptions): Promise<string> {
  const { amiParameter: name, region } = config;
  const { insecureValue } = await told(`the image of the machine (SSM parameter ${name} in ${region})`, () =>
    getParameter({ name }, options),
  );
  if (/^ami-[0-9a-f]{8,17}$/.test(insecureValue)) return insecureValue;
  throw new RunError(
    `tuneup:aws.amiParameter: ${name} holds no image's id, got ${JSON.stringify(insecureValue)}. Name a parameter whose value is an AMI, or take it out.`,
  );
}

/** The data volume of a stack, which has to be in the zone; undefined where there is none. Throws RunError as `lookUp`. */
export async function volumeOf(
  { stack, zone, target = "aws" }: Pick<Question, "stack" | "zone"> & { readonly target?: string },
  options: InvokeOptions,
): Promise<FoundVolume | undefined> {
  const mine = { ...ownTags(stack), [tagNames.volume]: "data" };
  const inState = (...values: string[]) =>
    told(`the volume of ${stack}`, () => getEbsVolumes({ tags: mine, filters: [{ name: "status", values }] }, options));
  const [{ ids }, { ids: free }] = await Promise.all([
    inState("creating", "available", "in-use"),
    inState("available"),
  ]);
  const [id, ...others] = ids;
  if (id === undefined) return undefined;
  if (others.length > 0) {
    throw new RunError(
      `There are ${ids.length} volumes with the tags of ${stack}: ${ids.toSorted().join(", ")}. Delete or untag all but the one with the data.`,
    );
  }
  const volume = await told(`the volume ${id}`, () =>
    getVolume({ filters: [{ name: "volume-id", values: [id] }] }, options),
  );
  if (volume.availabilityZone !== zone) {
    throw new RunError(
      `tuneup:${target}.zone: the volume ${id} with the data of ${stack} is in ${volume.availabilityZone}, and a volume can't leave its zone; got ${zone}. Set it to ${volume.availabilityZone}, or delete the volume to begin anew.`,
    );
  }
  if (!volume.encrypted) {
    throw new RunError(
      `The volume ${id} with the tags of ${stack} is not encrypted, so tuneup did not make it. Take its tags away, or delete it.`,
    );
  }
  return {
    ...{ id, sizeGiB: volume.size, type: volume.volumeType, attached: !free.includes(id) },
    // AWS's own can't be set.
    tags: Object.fromEntries(Object.entries(volume.tags).filter(([name]) => !name.startsWith("aws:"))),
  };
}

async function machineTagsOf({ stack }: Question, options: InvokeOptions): Promise<Tags | undefined> {
  const { ids } = await told(`the machine of ${stack}`, () =>
    getInstances({ instanceTags: ownTags(stack), instanceStateNames: ["pending", "running"] }, options),
  );
  const [instanceId, ...others] = ids;
  if (instanceId === undefined) return undefined;
  if (others.length > 0) {
    throw new RunError(
      `There are ${ids.length} machines with the tags of ${stack}: ${ids.toSorted().join(", ")}. \`npx tuneup audit\` says which one no stack owns; terminate that.`,
    );
  }
  const { tags } = await told(`the machine ${instanceId}`, () => getInstance({ instanceId }, options));
  return tags;
}

async function networkOf({ config, zone }: Question, options: InvokeOptions): Promise<GivenNetwork | undefined> {
  const { vpc, region } = config;
  if (vpc === "own") return undefined;
  const { id: vpcId } = await told(`the VPC ${vpc} in ${region}`, () =>
    getVpc(vpc === "default" ? { default: true } : { id: vpc }, options),
  );
  const inZone: Readonly<Record<string, string>> = config.spot ? {} : { "availability-zone": zone };
  const subnetIds = await subnetsOf(vpcId, { ...inZone, "map-public-ip-on-launch": "false" }, options);
  const [subnetId] = subnetIds;
  if (subnetId !== undefined) {
    const open = config.publicChat === undefined ? {} : await publicSubnetsOf(vpcId, zone, options);
    return { vpcId, subnetId, ...(config.spot ? { subnetIds } : {}), ...open };
  }
  throw new RunError(
    `tuneup:aws.vpc: ${vpcId} has no private subnet in ${config.spot ? region : zone}, and a machine without a public address reaches nothing from a public one. Use \`vpc: own\`, or a VPC whose private subnet there has a NAT gateway.`,
  );
}

/** Two public subnets for a load balancer, which needs two zones, and the machine's among them. */
async function publicSubnetsOf(
  vpcId: string,
  zone: string,
  options: InvokeOptions,
): Promise<Pick<GivenNetwork, "publicSubnetIds">> {
  const open = { "map-public-ip-on-launch": "true" };
  const [here, everywhere] = await Promise.all([
    subnetsOf(vpcId, { "availability-zone": zone, ...open }, options),
    subnetsOf(vpcId, open, options),
  ]);
  const [first] = here;
  const second = everywhere.find((id) => !here.includes(id));
  if (first !== undefined && second !== undefined) return { publicSubnetIds: [first, second] };
  const lacking = first === undefined ? `no public subnet in ${zone}` : `no public subnet in a zone beside ${zone}`;
  throw new RunError(
    `tuneup:aws.publicChat: ${vpcId} has ${lacking}, and a load balancer needs one there and one in another zone. Use \`vpc: own\`, or let such subnets assign public addresses, by which they are told.`,
  );
}

/** Ids of the subnets of a VPC that answer to EC2's filters. Throws RunError as `lookUp`. */
export async function subnetsOf(
  vpcId: string,
  wanted: Readonly<Record<string, string>>,
  options: InvokeOptions,
): Promise<readonly string[]> {
  const filters = Object.entries({ "vpc-id": vpcId, ...wanted }).map(([name, value]) => ({ name, values: [value] }));
  const { ids } = await told(`the subnets of ${vpcId}`, () => getSubnets({ filters }, options));
  return ids.toSorted();
}

/** The first zone of the region that is not the machine's: the same at every `up`, also while that zone is impaired. */
async function secondZoneOf({ config, zone }: Question, options: InvokeOptions): Promise<string | undefined> {
  const { publicChat, vpc, region } = config;
  if (publicChat === undefined || vpc !== "own") return undefined;
  const filters = [{ name: "zone-type", values: ["availability-zone"] }];
  const { names } = await told(`the zones of ${region}`, () => getAvailabilityZones({ filters }, options));
  const second = names.toSorted().find((name) => name !== zone);
  if (second !== undefined) return second;
  throw new RunError(
    `tuneup:aws.publicChat: ${region} has no zone beside ${zone} for this account, and a load balancer needs two. Take it out, or use another region.`,
  );
}
