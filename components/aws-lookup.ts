import { type InvokeOptions, RunError } from "@pulumi/pulumi";
import { getEbsVolumes } from "@pulumi/aws/ebs/getEbsVolumes.js";
import { getVolume } from "@pulumi/aws/ebs/getVolume.js";
import { getInstance } from "@pulumi/aws/ec2/getInstance.js";
import { getInstances } from "@pulumi/aws/ec2/getInstances.js";
import { getSubnets } from "@pulumi/aws/ec2/getSubnets.js";
import { getVpc } from "@pulumi/aws/ec2/getVpc.js";
import { getParameter } from "@pulumi/aws/ssm/getParameter.js";
import type { AwsConfig } from "../recipe/aws/config.ts";
import { refusalFault, refusalIn } from "../recipe/aws/refusals.ts";
import { ownTags, tagNames, type Tags } from "../recipe/aws/tags.ts";

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
}

/** What is asked, and for which stack. */
export interface Question {
  readonly stack: string;
  readonly config: Pick<AwsConfig, "region" | "vpc" | "amiParameter">;
  readonly zone: string;
}

/** Asks AWS what is there. Throws RunError with one sentence about what is missing or does not fit. */
export async function lookUp(question: Question, options: InvokeOptions): Promise<Found> {
  const [ami, volume, machineTags, network] = await Promise.all([
    imageOf(question, options),
    volumeOf(question, options),
    machineTagsOf(question, options),
    networkOf(question, options),
  ]);
  return { ami, volume, machineTags, network };
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

async function volumeOf({ stack, zone }: Question, options: InvokeOptions): Promise<FoundVolume | undefined> {
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
      `tuneup:aws.zone: the volume ${id} with the data of ${stack} is in ${volume.availabilityZone}, and a volume can't leave its zone; got ${zone}. Set it to ${volume.availabilityZone}, or delete the volume to begin anew.`,
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
  const filters = Object.entries({ "vpc-id": vpcId, "availability-zone": zone, "map-public-ip-on-launch": "false" });
  const { ids } = await told(`the subnets of ${vpcId}`, () =>
    getSubnets({ filters: filters.map(([name, value]) => ({ name, values: [value] })) }, options),
  );
  const [subnetId] = ids.toSorted();
  if (subnetId !== undefined) return { vpcId, subnetId };
  throw new RunError(
    `tuneup:aws.vpc: ${vpcId} has no private subnet in ${zone}, and a machine without a public address reaches nothing from a public one. Use \`vpc: own\`, or a VPC whose private subnet there has a NAT gateway.`,
  );
}

/** What AWS refused, in a sentence: an invoke's error is a stack of frames. */
async function told<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const refused = refusalFault(message);
    if (refused !== undefined && refused.code !== "aws-refused") throw new RunError(`tuneup:${refused.sentence}`);
    const why = reasonOf(message);
    throw new RunError(
      `AWS did not tell ${what}: ${why} Check credentials and region (\`aws sts get-caller-identity\`); docs/aws.md says what they must allow.`,
    );
  }
}

/** Most characters of what AWS says. */
const longest = 400;

/** Of an invoke's error, what AWS said: the engine and the provider put their frames around it, over several lines. */
function reasonOf(message: string): string {
  const refusal = refusalIn(message);
  if (refusal !== undefined) return `${refusal.code}: ${refusal.said}`;
  const said = message
    .replace(/^[^]*?returned an error: /, "")
    .replace(/^invoking \S+: /, "")
    .replace(/^\d+ errors? occurred:/, "")
    .replace(/\s*\n\s*(\* )?/g, " ")
    .trim()
    .slice(0, longest);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}
