import type { AwsConfig } from "./config.ts";

/** Hours of a month as AWS's calculator counts them. */
export const monthHours = 730;

/**
 * What is billed beside the machine, US dollars in us-east-1, each as it was read:
 * volumes: AWS's price list, 2026-10-16 (gp3), AWS's agent-toolkit, early 2026 (gp2; gp3 the same); public addresses: AWS's price list, 2026-10-16;
 * load balancer and its capacity unit: examples on AWS's page of prices, 2026-09-20; interface endpoints, one zone: 2026-05;
 * NAT gateway: calculators and guides of 2026-02 and 2026-03 that agree; what passes it is billed by the GB as well and not counted by the hour;
 * EKS's control plane, a version in standard support: AWS's blog on containers, the same in 2026-03.
 */
export const otherPrices = {
  volumeGiBMonth: { gp3: 0.08, gp2: 0.1 },
  loadBalancerHour: 0.0225,
  loadBalancerUnitHour: 0.008,
  publicAddressHour: 0.005,
  endpointHour: 0.01,
  natGatewayHour: 0.045,
  natGatewayGb: 0.045,
  controlPlaneHour: 0.1,
} as const;

/** US dollars that a volume costs a month; undefined for a kind that has no price here. `type`: such as gp3. */
export function volumeUsdMonth(sizeGiB: number, type: string): number | undefined {
  const price = (otherPrices.volumeGiBMonth as Readonly<Record<string, number>>)[type];
  return price === undefined ? undefined : sizeGiB * price;
}

/** Services that a machine without a way to the internet needs for SSM; S3's endpoint costs nothing. */
export const endpointServices = ["ssm", "ssmmessages", "ec2messages"] as const;

/** A load balancer is in two zones at least, with a public address in each. */
const balancerZones = 2;

/** What is on, as far as it decides the price. */
export interface Billed {
  /** The machine, US dollars an hour. */
  readonly machineHour: number;
  readonly volumeGiB: number;
  readonly volumeType: AwsConfig["volume"]["type"];
  /** Is there a load balancer? */
  readonly publicChat: boolean;
  /** Is the network our own, with endpoints for SSM? */
  readonly ownVpc: boolean;
  /** Has it a NAT gateway, with its public address? Default: no. */
  readonly nat?: boolean;
  /** Is it spot capacity, so that the volume goes with the machine? Default: no. */
  readonly spot?: boolean;
  /** Is there an EKS cluster of our own? Default: no. */
  readonly cluster?: boolean;
}

/** What it costs, US dollars. */
export interface Cost {
  /** Everything, an hour while it is on. */
  readonly hour: number;
  /** Everything, for a month if it is left on. */
  readonly month: number;
  /** A month's parts by what they are for; nothing that costs nothing. */
  readonly parts: Readonly<Record<string, number>>;
  /** What is billed for a month while the stack is there and its machine has ended: network and volume. */
  readonly ended: number;
  /** What goes on being billed for a month after `destroy`: the volume. */
  readonly kept: number;
}

/** What of a config's network and endpoint is billed. */
export function networkOf({
  vpc,
  egress,
  publicChat,
}: Pick<AwsConfig, "vpc" | "egress" | "publicChat">): Pick<Billed, "ownVpc" | "nat" | "publicChat"> {
  const ownVpc = vpc === "own";
  return { ownVpc, nat: ownVpc && egress === "nat", publicChat: publicChat !== undefined };
}

/** Price of an hour and of a month. A load balancer is counted with one capacity unit, as a chat of a few people needs. Traffic is not counted. */
export function costOf(billed: Billed): Cost {
  const { loadBalancerHour, loadBalancerUnitHour, publicAddressHour, endpointHour, natGatewayHour, controlPlaneHour } =
    otherPrices;
  const balancer = loadBalancerHour + loadBalancerUnitHour + balancerZones * publicAddressHour;
  const hours: readonly (readonly [string, number])[] = [
    ["machine", billed.machineHour],
    ["load balancer", billed.publicChat ? balancer : 0],
    ["endpoints", billed.ownVpc ? endpointServices.length * endpointHour : 0],
    ["NAT gateway", billed.nat === true ? natGatewayHour + publicAddressHour : 0],
    ["control plane", billed.cluster === true ? controlPlaneHour : 0],
  ];
  const volume = billed.volumeGiB * otherPrices.volumeGiBMonth[billed.volumeType];
  const kept = billed.spot === true ? 0 : volume;
  const months: readonly (readonly [string, number])[] = [
    ...hours.map(([name, usd]) => [name, usd * monthHours] as const),
    ["volume", volume],
  ];
  const month = months.reduce((sum, [, usd]) => sum + usd, 0);
  const parts = Object.fromEntries(months.filter(([, usd]) => usd > 0));
  return {
    hour: month / monthHours,
    month,
    parts,
    ended: month - billed.machineHour * monthHours - (volume - kept),
    kept,
  };
}
