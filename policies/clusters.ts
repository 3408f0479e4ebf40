import { isWorldOpen } from "../recipe/aws/config.ts";
import { openToNamed } from "../recipe/aws/tags.ts";
import { clusterVersions, isSupported, versionSource } from "../recipe/eks/versions.ts";
import {
  type DeclaredResource,
  type Inputs,
  isTrue,
  mapAt,
  mapsAt,
  type ResourceRule,
  shown,
  textsAt,
} from "./rule.ts";

const isCluster = ({ type }: DeclaredResource): boolean => type === "aws:eks/cluster:Cluster";

/** A cluster that says itself that named addresses reach its API on purpose; nobody is named by all of the internet. */
function isOpenOnPurpose(inputs: Inputs): boolean {
  const tags = mapAt(inputs, "tags");
  const blocks = textsAt(mapAt(inputs, "vpcConfig"), "publicAccessCidrs");
  const said = Object.entries(openToNamed).every(([name, value]) => tags[name] === value);
  return said && blocks.length > 0 && !blocks.some(isWorldOpen);
}

/** The API of a cluster is the cluster. */
export const clusterEndpointRule: ResourceRule = {
  name: "cluster-endpoint-private",
  description:
    "The API of an EKS cluster is reached from its VPC alone, unless it is by named addresses and tagged so.",
  known: ["EKS.1", "CKV_AWS_38", "CKV_AWS_39"],
  check: (resource) => {
    if (!isCluster(resource)) return [];
    // Not said, EKS opens it.
    const { endpointPublicAccess = true, endpointPrivateAccess } = mapAt(resource.inputs, "vpcConfig");
    return [
      ...(isTrue(endpointPublicAccess) && !isOpenOnPurpose(resource.inputs)
        ? ["vpcConfig.endpointPublicAccess must be false."]
        : []),
      ...(isTrue(endpointPrivateAccess)
        ? []
        : [`vpcConfig.endpointPrivateAccess must be true, got ${shown(endpointPrivateAccess)}.`]),
    ];
  },
};

/** Secrets of Kubernetes are plain in etcd otherwise. */
export const clusterSecretsRule: ResourceRule = {
  name: "cluster-secrets-encrypted",
  description: "Secrets in an EKS cluster are encrypted with a key of KMS.",
  known: ["EKS.3", "CKV_AWS_58"],
  check: (resource) => {
    const encrypted = mapsAt(resource.inputs, "encryptionConfig").some((one) =>
      textsAt(one, "resources").includes("secrets"),
    );
    return !isCluster(resource) || encrypted ? [] : ['encryptionConfig must name the resources ["secrets"] and a key.'];
  },
};

/** Who did what is known afterwards, or never. */
export const clusterAuditRule: ResourceRule = {
  name: "cluster-audit-log",
  description: "An EKS cluster keeps its audit log.",
  known: ["EKS.8", "CKV_AWS_37"],
  check: (resource) => {
    const logs = textsAt(resource.inputs, "enabledClusterLogTypes");
    return !isCluster(resource) || logs.includes("audit")
      ? []
      : [`enabledClusterLogTypes must have audit, got ${shown(resource.inputs["enabledClusterLogTypes"])}.`];
  },
};

/** What gets no more fixes; a version that is not said is EKS's newest. */
export const clusterVersionRule: ResourceRule = {
  name: "cluster-version-supported",
  description: `EKS clusters and node groups have a version in standard support (as of ${versionSource.date}).`,
  known: ["EKS.2", "CKV_AWS_339"],
  check: (resource) => {
    const { version } = resource.inputs;
    const isOne = isCluster(resource) || resource.type === nodeGroup;
    if (!isOne || typeof version !== "string" || isSupported(version)) return [];
    const names = clusterVersions.map(({ name }) => name).join(", ");
    return [`version must be ${names} or newer, got ${version}.`];
  },
};

const nodeGroup = "aws:eks/nodeGroup:NodeGroup";

/** Without a launch template EKS makes one that forgets about IMDSv2 and about the disk; with a key it lets everyone try it. */
export const nodeGroupRule: ResourceRule = {
  name: "node-group-closed",
  description:
    "Node groups of EKS have a launch template, where metadata and disk are said, and no SSH from everywhere.",
  known: ["EC2.8", "CKV_AWS_100"],
  check: ({ type, inputs }) => {
    if (type !== nodeGroup) return [];
    const { ec2SshKey, sourceSecurityGroupIds } = mapAt(inputs, "remoteAccess");
    const named = sourceSecurityGroupIds !== undefined && textsAt({ sourceSecurityGroupIds }, "sourceSecurityGroupIds");
    return [
      ...(inputs["launchTemplate"] === undefined
        ? ["launchTemplate must be said: without it metadata needs no token."]
        : []),
      ...(ec2SshKey !== undefined && (named === false || named.length === 0)
        ? ["remoteAccess.sourceSecurityGroupIds must name groups: without them port 22 is open to the internet."]
        : []),
    ];
  },
};
