import { type InvokeOptions, RunError } from "../provider/pulumi.ts";
import { getCluster } from "@pulumi/aws/eks/getCluster.js";
import { getClusters } from "@pulumi/aws/eks/getClusters.js";
import { getNodeGroup } from "@pulumi/aws/eks/getNodeGroup.js";
import { getNodeGroups } from "@pulumi/aws/eks/getNodeGroups.js";
import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones.js";
import { ownTags, type Tags } from "../recipe/aws/tags.ts";
import type { EksConfig } from "../recipe/eks/config.ts";
import type { EksAccess } from "../recipe/eks/kubeconfig.ts";
import { nodeGroupName, zonesWithoutControlPlane } from "../recipe/eks/names.ts";
import { type FoundVolume, subnetsOf, volumeOf } from "./aws-lookup.ts";
import { told } from "./aws-told.ts";

/** What is in AWS before a cluster is declared. */
export interface FoundCluster {
  /** Version of the stack's cluster, which is there in whatever state; undefined where there is none. */
  readonly version: string | undefined;
  readonly volume: FoundVolume | undefined;
  /** Tags of the node group where it has nodes; undefined where none runs. */
  readonly nodeTags: Tags | undefined;
  /** Another zone of the region, for an own network. */
  readonly secondZone: string;
  /** Private subnets of a given VPC, that of the zone first; undefined for an own network. */
  readonly subnetIds: readonly [string, string] | undefined;
}

/** What is asked, and for which stack. */
export interface ClusterQuestion {
  readonly stack: string;
  readonly clusterName: string;
  readonly config: Pick<EksConfig, "region" | "vpc">;
  readonly zone: string;
}

/** Asks AWS what of a stack's cluster is there. Throws RunError with one sentence about what is missing or does not fit. */
export async function lookUpCluster(question: ClusterQuestion, options: InvokeOptions): Promise<FoundCluster> {
  const { stack, zone } = question;
  const [version, volume, network] = await Promise.all([
    versionOf(question, options),
    volumeOf({ stack, zone, target: "eks" }, options),
    placesOf(question, options),
  ]);
  const nodeTags = version === undefined ? undefined : await nodeTagsOf(question, options);
  return { version, volume, nodeTags, ...network };
}

/** How a cluster of others is reached. Throws RunError where there is none. */
export async function lookUpGiven(region: string, name: string, options: InvokeOptions): Promise<EksAccess> {
  const { names } = await told(`the clusters of ${region}`, () => getClusters({}, options));
  if (!names.includes(name)) {
    const known = names.length === 0 ? "It has none." : `It has ${names.toSorted().join(", ")}.`;
    throw new RunError(
      `tuneup:eks.name: there is no cluster ${name} in ${region}. ${known} Name one of them, or take it out to have one made.`,
    );
  }
  const { endpoint, certificateAuthorities } = await told(`the cluster ${name}`, () => getCluster({ name }, options));
  return { region, name, endpoint, authority: certificateAuthorities[0]?.data ?? "" };
}

/** Version of the cluster with the stack's name, which has to be the stack's. */
async function versionOf(
  { stack, clusterName: name, config: { region } }: ClusterQuestion,
  options: InvokeOptions,
): Promise<string | undefined> {
  const { names } = await told(`the clusters of ${region}`, () => getClusters({}, options));
  if (!names.includes(name)) return undefined;
  const { version, tags } = await told(`the cluster ${name}`, () => getCluster({ name }, options));
  const isOurs = Object.entries(ownTags(stack)).every(([key, value]) => tags[key] === value);
  if (isOurs) return version;
  throw new RunError(
    `tuneup:eks: there is a cluster ${name} in ${region} that tuneup did not make for ${stack} (it lacks the tags of one). Name it by \`eks.name\` to use it as it is, or give the experiment another name.`,
  );
}

async function nodeTagsOf({ clusterName }: ClusterQuestion, options: InvokeOptions): Promise<Tags | undefined> {
  const { names } = await told(`the nodes of ${clusterName}`, () => getNodeGroups({ clusterName }, options));
  if (!names.includes(nodeGroupName)) return undefined;
  const { tags, scalingConfigs } = await told(`the nodes of ${clusterName}`, () =>
    getNodeGroup({ clusterName, nodeGroupName }, options),
  );
  const runs = scalingConfigs.some(({ desiredSize }) => desiredSize > 0);
  return runs ? tags : undefined;
}

/** Where control plane and nodes stand: the file's zone, and the first other one that fits. */
async function placesOf(
  { config: { vpc, region }, zone }: ClusterQuestion,
  options: InvokeOptions,
): Promise<Pick<FoundCluster, "secondZone" | "subnetIds">> {
  if (vpc !== "own") return { secondZone: "", subnetIds: await privateSubnets(vpc, zone, options) };
  const filters = [{ name: "zone-type", values: ["availability-zone"] }];
  const excludeZoneIds = [...zonesWithoutControlPlane];
  const { names } = await told(`the zones of ${region}`, () =>
    getAvailabilityZones({ filters, excludeZoneIds }, options),
  );
  const secondZone = names.toSorted().find((name) => name !== zone);
  if (secondZone !== undefined) return { secondZone, subnetIds: undefined };
  throw new RunError(
    `tuneup:eks.region: ${region} has no zone beside ${zone} for this account where EKS has control planes, and a cluster needs two. Use another region.`,
  );
}

async function privateSubnets(vpcId: string, zone: string, options: InvokeOptions): Promise<readonly [string, string]> {
  const closed = { "map-public-ip-on-launch": "false" };
  const [here, everywhere] = await Promise.all([
    subnetsOf(vpcId, { "availability-zone": zone, ...closed }, options),
    subnetsOf(vpcId, closed, options),
  ]);
  const [first] = here;
  const second = everywhere.find((id) => !here.includes(id));
  if (first !== undefined && second !== undefined) return [first, second];
  const lacking = first === undefined ? `no private subnet in ${zone}` : `no private subnet in a zone beside ${zone}`;
  throw new RunError(
    `tuneup:eks.vpc: ${vpcId} has ${lacking}, and a cluster needs one there and one in another zone, with a NAT gateway each. Use \`vpc: own\`, or another VPC.`,
  );
}
