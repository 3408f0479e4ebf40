import { type Output, runtime } from "@pulumi/pulumi";
import { vi } from "vitest";
import type { Inputs, DeclaredResource } from "../../policies/rule.ts";
import type { Finished } from "../../components/target-kind.ts";
import type { Experiment as ExperimentConfig } from "../../recipe/experiment.ts";
import { hostSpecOf } from "../../recipe/target-host.ts";
import { declaredOutputs } from "./declared-outputs.ts";

/** A volume as the stand-in of AWS has it. */
export interface CloudVolume {
  readonly id: string;
  readonly availabilityZone: string;
  readonly size: number;
  readonly volumeType: string;
  readonly encrypted: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: "available" | "in-use";
}

/** What is in the account before the program runs. */
export interface Cloud {
  /** Value of the image's parameter; undefined where there is none. */
  readonly ami?: string | undefined;
  readonly volumes: readonly CloudVolume[];
  readonly machines: readonly { readonly id: string; readonly tags: Readonly<Record<string, string>> }[];
  /** Id of the VPC that is asked for, its private subnets, and its public ones by zone. */
  readonly vpc?: {
    readonly id: string;
    readonly subnets: readonly string[];
    readonly publicSubnets?: Readonly<Record<string, readonly string[]>>;
  };
  /** Groups of machines, and how many each is to have. */
  readonly groups?: readonly {
    readonly name: string;
    readonly desired: number;
    /** How many are to be on demand. Default: 0. */
    readonly onDemand?: number;
    readonly tags: Readonly<Record<string, string>>;
  }[];
  /** Buckets with the stack's tags. */
  readonly buckets?: readonly { readonly name: string; readonly tags: Readonly<Record<string, string>> }[];
  /** Size of the image's root disk; undefined where it has none on EBS. Default: 75. */
  readonly rootGiB?: string | undefined;
  /** Letters of the region's zones. Default: a to c. */
  readonly zones?: readonly string[];
  /** What every question is answered with, if AWS refuses. */
  readonly refusal?: string;
}

/** An account with nothing of ours in it. */
export const emptyCloud: Cloud = { ami: "ami-0123456789abcdef0", volumes: [], machines: [] };

/** Options of a resource that its inputs do not show. */
export interface Declared extends DeclaredResource {
  /** The resource that is to be adopted: its id. Empty for a new one. */
  readonly adopts: string;
}

const declared: Declared[] = [];
/** Tokens of what AWS was asked, each with what was asked. */
export const asked: { readonly token: string; readonly inputs: Inputs }[] = [];
let cloud = emptyCloud;
let region = "us-east-1";
/** What the last declared target says of its load balancer. */
export let publicUrl: string | undefined;

/** What AWS makes up for a new resource: ids as it writes them, so that what is made from them can be told. */
function stateOf(type: string, name: string): { readonly id: string; readonly [key: string]: unknown } {
  if (type === "aws:ebs/volume:Volume") return { id: "vol-0123456789abcdef0" };
  if (type === "aws:ec2/instance:Instance") return { id: "i-0123456789abcdef0" };
  const id = `${type.split(":").at(-1)}(${name})`;
  return {
    id,
    arn: `arn:${id}`,
    dnsName: `${name}.elb.amazonaws.com`,
    allocationId: `allocation:${id}`,
    prefixListId: `prefixes:${id}`,
  };
}

function subnetsWhere(values: (name: string) => readonly string[]): readonly string[] {
  if (values("map-public-ip-on-launch").includes("false")) return cloud.vpc?.subnets ?? [];
  const [zone] = values("availability-zone");
  const open = Object.entries(cloud.vpc?.publicSubnets ?? {});
  return open.flatMap(([of, ids]) => (zone === undefined || zone === of ? ids : []));
}

/** An error as the engine hands on a provider's. */
function refused(token: string, reason: string): Error {
  const details = `invocation of ${token} returned an error: invoking ${token}: 1 error occurred:\n\t* reading it: ${reason}\n\n`;
  return Object.assign(new Error(details), { details });
}

function imageIn(there: Cloud): object {
  const size = "rootGiB" in there ? there.rootGiB : "75";
  const ebs = size === undefined ? {} : { volume_size: size, encrypted: "false" };
  const root = { deviceName: "/dev/sda1", ebs };
  return { rootDeviceName: "/dev/sda1", blockDeviceMappings: [{ deviceName: "/dev/sdb", ebs: {} }, root] };
}

function answer(token: string, inputs: Inputs): object {
  if (cloud.refusal !== undefined) throw refused(token, cloud.refusal);
  const values = (name: string): readonly string[] =>
    ((inputs["filters"] ?? []) as { name: string; values: string[] }[]).find((one) => one.name === name)?.values ?? [];
  switch (token.split(":").at(-1)) {
    case "getParameter":
      if (cloud.ami === undefined) throw refused(token, "ParameterNotFound: ");
      return { insecureValue: cloud.ami };
    case "getEbsVolumes":
      return { ids: cloud.volumes.filter(({ status }) => values("status").includes(status)).map(({ id }) => id) };
    case "getVolume":
      return cloud.volumes.find(({ id }) => values("volume-id").includes(id)) ?? {};
    case "getInstances":
      return { ids: cloud.machines.map(({ id }) => id) };
    case "getInstance":
      return cloud.machines.find(({ id }) => id === inputs["instanceId"]) ?? {};
    case "getAmi":
      return imageIn(cloud);
    case "getAmiIds":
      return { names: (cloud.groups ?? []).map(({ name }) => name) };
    case "getGroup": {
      const found = cloud.groups?.find(({ name }) => name === inputs["name"]);
      const { desired, tags, onDemand = 0 } = found ?? { desired: 0, tags: {} };
      const pairs = Object.entries(tags).map(([key, value]) => ({ key, value, propagateAtLaunch: true }));
      const instancesDistributions = [{ onDemandBaseCapacity: onDemand }];
      return { desiredCapacity: desired, tags: pairs, mixedInstancesPolicies: [{ instancesDistributions }] };
    }
    case "getResources":
      return {
        resourceTagMappingLists: (cloud.buckets ?? []).map(({ name, tags }) => ({
          ...{ resourceArn: `arn:aws:s3:::${name}`, tags },
        })),
      };
    case "getCallerIdentity":
      return { accountId: "123456789012" };
    case "getVpc":
      return { id: cloud.vpc?.id };
    case "getSubnets":
      return { ids: subnetsWhere(values) };
    case "getAvailabilityZones":
      // In no order.
      return { names: (cloud.zones ?? ["c", "a", "b"]).map((letter) => region + letter) };
  }
  throw new Error(`AWS is not asked ${token}`);
}

await runtime.setMocks(
  {
    newResource: ({ type, name, inputs, id }) => {
      const state = type.startsWith("aws:") ? stateOf(type, name) : { id: `${name}-id` };
      const given = inputs as Inputs;
      const own = { type, name, urn: `${type}::${name}`, adopts: id ?? "" };
      // The id counts as an input here: the pack looks by it what belongs together.
      declared.push({ ...own, inputs: type.startsWith("aws:") ? { ...given, id: state.id } : given });
      return { id: state.id, state: { ...state, ...given, ...declaredOutputs[type.split(":").at(-1) ?? ""] } };
    },
    call: ({ token, inputs }) => {
      asked.push({ token, inputs: inputs as Inputs });
      return answer(token, inputs as Inputs);
    },
  },
  "tuneup",
  "exp",
);

const { Experiment } = await import("../../components/experiment.ts");
const { targetOf } = await import("../../components/target.ts");

/** Everything that an experiment declares in an account, the target alone or with the experiment on it. Throws what the program would. */
export async function declare(
  config: ExperimentConfig,
  {
    stack = "exp",
    there = emptyCloud,
    whole = false,
    isFinished = () => Promise.resolve(false),
    last = whole ? "tuneup-host:index:RunCompletion" : "aws:scheduler/schedule:Schedule",
  }: { stack?: string; there?: Cloud; whole?: boolean; isFinished?: Finished; last?: string } = {},
): Promise<readonly Declared[]> {
  declared.length = 0;
  asked.length = 0;
  publicUrl = undefined;
  cloud = there;
  region = config.aws?.region ?? "us-east-1";
  const target = await targetOf(stack, hostSpecOf(config, {}, stack), config, isFinished);
  if (whole) new Experiment(stack, { config, target });
  const isThere = (): void => {
    if (!declared.some(({ type }) => type === last)) throw new Error(`${last} is not declared yet`);
  };
  await vi.waitFor(isThere, { interval: 5, timeout: 20_000 });
  // What comes after the last has no one that waits for it; host is there when all that it needs is.
  await new Promise((resolve) => void target.host.apply(resolve));
  if (target.publicUrl !== undefined) await settled(target.publicUrl);
  return [...declared];
}

/** All of a public chat is declared, its last by what comes from it. */
async function settled(url: Output<string>): Promise<void> {
  publicUrl = await new Promise<string>((resolve) => void url.apply(resolve));
  const isThere = (): void => {
    const all = declared.map(({ type }) => type);
    for (const last of ["aws:lb/listener:Listener", "aws:lb/targetGroupAttachment:TargetGroupAttachment"]) {
      if (!all.includes(last)) throw new Error(`${last} is not declared yet`);
    }
  };
  await vi.waitFor(isThere, { interval: 5, timeout: 20_000 });
}

/** The one of a type and name; throws where there is none or another. */
export function only(all: readonly Declared[], kind: string, name?: string): Declared {
  const found = all.filter(({ type, name: own }) => type.endsWith(`:${kind}`) && (name === undefined || own === name));
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} of ${kind} ${name ?? ""}`);
  return found[0];
}

/** Only those of AWS. */
export function ofAws(all: readonly Declared[]): readonly Declared[] {
  return all.filter(({ type }) => type.startsWith("aws:"));
}
