import { instanceTypes } from "./instance-types.ts";
import { monthHours, otherPrices, volumeUsdMonth } from "./prices.ts";
import { type Tags, tagNames } from "./tags.ts";

/** A resource in AWS, with what decides its price where it has one. */
export interface Found {
  /** Its whole name, such as arn:aws:ec2:us-east-1:123456789012:volume/vol-0a1b2c3d4e5f67890. */
  readonly arn: string;
  readonly tags: Tags;
  /** Of a machine that runs or starts. */
  readonly instanceType?: string | undefined;
  /** Of a machine: the Auto Scaling group that started it, and starts the next. Default: none did. */
  readonly group?: string | undefined;
  /** Of a volume. */
  readonly sizeGiB?: number | undefined;
  readonly volumeType?: string | undefined;
  /** Of an interface endpoint: in so many zones. */
  readonly zones?: number | undefined;
}

/** A resource that no stack owns. */
export interface Orphan {
  /** Such as `ec2 volume`. */
  readonly kind: string;
  readonly id: string;
  readonly arn: string;
  /** The stack that made it, by its tag. */
  readonly stack: string;
  /** US dollars for a month if it is left; null where the tables here have no price for it. */
  readonly usdMonth: number | null;
}

/**
 * Those of the resources that no stack owns: what a stack owns has its id or whole name in the stack's state. The dearest first. `states`: the texts
 * of all states.
 */
export function orphansOf(found: readonly Found[], states: readonly string[]): Orphan[] {
  const isOwned = (name: string): boolean =>
    name !== "" && states.some((state) => state.includes(JSON.stringify(name)));
  return found
    .filter((one) => !namesInStates(one).some(isOwned))
    .map((one) => ({
      ...{ ...namesOf(one), arn: one.arn },
      ...{ stack: one.tags[tagNames.stack] ?? "-", usdMonth: priceOf(one) },
    }))
    .sort((a, b) => (b.usdMonth ?? Infinity) - (a.usdMonth ?? Infinity) || a.arn.localeCompare(b.arn));
}

/**
 * What a state has of a resource that its stack owns. A cluster's name is none of them: it is the stack's, so that its network and its key have it in
 * their tags, also where an `up` was killed before the state knew of the cluster.
 */
function namesInStates({ arn, group, tags }: Found): readonly string[] {
  if (kindOf(arn) === clusterKind) return [arn];
  const cluster = tags[nodeTags.cluster];
  return cluster === undefined ? [arn, idOf(arn), group ?? ""] : [arn, idOf(arn), clusterArn(arn, cluster)];
}

/**
 * A machine of a group is told by the group: whoever ended the machine alone would have the next one. The group of a cluster's nodes is EKS's, told as
 * what EKS calls it.
 */
function namesOf({ arn, group, tags }: Found): { readonly kind: string; readonly id: string } {
  const cluster = tags[nodeTags.cluster];
  if (cluster !== undefined) return { kind: "eks nodegroup", id: `${cluster}/${tags[nodeTags.group] ?? "?"}` };
  return group === undefined ? { kind: kindOf(arn), id: idOf(arn) } : { kind: "autoscaling group", id: group };
}

/** EKS puts them on the machines that a node group starts, which no state names. */
const nodeTags = { cluster: "eks:cluster-name", group: "eks:nodegroup-name" } as const;

const clusterKind = "eks cluster";

/** The cluster of a name in the account and region of a machine. */
function clusterArn(machine: string, name: string): string {
  const [arn = "", partition = "", , region = "", account = ""] = machine.split(":");
  return [arn, partition, "eks", region, account, `cluster/${name}`].join(":");
}

/** `arn:partition:service:region:account:type/id`, and for some services without the type. */
function partsOf(arn: string): { readonly service: string; readonly name: string } {
  const [, , service = "", , , ...rest] = arn.split(":");
  return { service, name: rest.join(":") };
}

/** The id by which its service knows it. */
export function idOf(arn: string): string {
  const { name } = partsOf(arn);
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Service and type, such as `ec2 volume`. */
export function kindOf(arn: string): string {
  const { service, name } = partsOf(arn);
  return name.includes("/") ? `${service} ${name.slice(0, name.indexOf("/"))}` : service;
}

const { natGatewayHour, publicAddressHour, loadBalancerHour, endpointHour, controlPlaneHour } = otherPrices;

/** Kinds that are billed by the hour, each its whole price. */
const hourly: Readonly<Record<string, number>> = {
  "ec2 natgateway": natGatewayHour,
  "ec2 elastic-ip": publicAddressHour,
  "elasticloadbalancing loadbalancer": loadBalancerHour,
  [clusterKind]: controlPlaneHour,
};

/** Kinds that cost by what is in them or done with them. */
const unknown = ["s3", "kms key", "logs", "secretsmanager", "ec2 snapshot"];

function priceOf({ arn, instanceType, sizeGiB, volumeType, zones }: Found): number | null {
  const kind = kindOf(arn);
  if (kind === "ec2 instance") {
    if (instanceType === undefined) return 0;
    const type = instanceTypes.find(({ name }) => name === instanceType);
    return type === undefined ? null : type.usdPerHour * monthHours;
  }
  if (kind === "ec2 volume") {
    return sizeGiB === undefined ? null : (volumeUsdMonth(sizeGiB, volumeType ?? "") ?? null);
  }
  if (kind === "ec2 vpc-endpoint") return (zones ?? 0) * endpointHour * monthHours;
  if (unknown.some((name) => kind === name || kind.startsWith(`${name} `))) return null;
  return (hourly[kind] ?? 0) * monthHours;
}
