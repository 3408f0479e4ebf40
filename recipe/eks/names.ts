import { partitionOf, resourceName } from "../aws/names.ts";

/** Name of the cluster that a stack makes: by it the cluster is found and reached, so it is always the same. */
export function clusterName(stack: string): string {
  return resourceName(stack);
}

/** The one node group of such a cluster. */
export const nodeGroupName = "gpu";

/** Its node groups' names begin with this in AWS. */
export function nodeGroupArns(cluster: string, region: string): string {
  return `arn:${partitionOf(region)}:eks:${region}:*:nodegroup/${cluster}/${nodeGroupName}/*`;
}

/** Log group where EKS writes what a cluster's control plane logs. */
export function logGroupName(cluster: string): string {
  return `/aws/eks/${cluster}/cluster`;
}

/** Zones, by their ids, where EKS places no control plane (EKS User Guide, network requirements). */
export const zonesWithoutControlPlane = ["use1-az3", "usw1-az2", "cac1-az3"] as const;
