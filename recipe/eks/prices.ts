import { leaseHours } from "../aws/lease-hours.ts";
import { monthHours, otherPrices } from "../aws/prices.ts";
import type { EksConfig } from "./config.ts";

/** What of a cluster is billed. */
export interface ClusterBilled {
  /** A node, US dollars an hour. */
  readonly nodeHour: number;
  readonly nodeDiskGiB: number;
  readonly volumeGiB: number;
  /** Is the network our own, with a NAT gateway? */
  readonly ownVpc: boolean;
}

/** What it costs, US dollars. */
export interface ClusterCost {
  /** Everything, an hour while a node runs. */
  readonly hour: number;
  /** Everything, for a month if the node is left on. */
  readonly month: number;
  /** A month's parts by what they are for. */
  readonly parts: Readonly<Record<string, number>>;
  /** A month with no node: control plane, network, keys and volume. */
  readonly idle: number;
  /** A month after `down`: the volume. */
  readonly kept: number;
}

/** A key of KMS, US dollars a month (AWS's page of prices, the same in 2026-03). What is asked of it is not counted. */
export const keyMonth = 1;

/** Price of an hour and of a month, one node. Traffic and logs are not counted. */
export function clusterCost({ nodeHour, nodeDiskGiB, volumeGiB, ownVpc }: ClusterBilled): ClusterCost {
  const { controlPlaneHour, natGatewayHour, publicAddressHour, volumeGiBMonth } = otherPrices;
  const kept = volumeGiB * volumeGiBMonth.gp3;
  const nodes = { node: nodeHour * monthHours, "its disk": nodeDiskGiB * volumeGiBMonth.gp3 };
  const still = {
    "control plane": controlPlaneHour * monthHours,
    ...(ownVpc ? { "NAT gateway": (natGatewayHour + publicAddressHour) * monthHours } : {}),
    key: keyMonth,
    volume: kept,
  };
  const sum = (parts: Readonly<Record<string, number>>) => Object.values(parts).reduce((all, usd) => all + usd, 0);
  const idle = sum(still);
  const month = idle + sum(nodes);
  return { hour: month / monthHours, month, parts: { ...nodes, ...still }, idle, kept };
}

/** Hours until the lease ends the nodes: `eks.lease.hours`, or those that `eks.lease.usd` pays for where they are fewer. */
export function nodeLeaseHours({ lease }: Pick<EksConfig, "lease">, cost: ClusterCost): number {
  return leaseHours(lease, cost.hour);
}
