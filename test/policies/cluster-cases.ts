import type { Inputs } from "../../policies/rule.ts";
import { openToNamed } from "../../recipe/aws/tags.ts";

export type Case = readonly [type: string, inputs: Inputs];
/** By rule: what breaks it, and what does not although it is close. */
export type Cases = Readonly<Record<string, { readonly breaks: readonly Case[]; readonly keeps: readonly Case[] }>>;

const cluster = "aws:eks/cluster:Cluster";
const key = "aws:kms/key:Key";
const oneKey = "arn:aws:kms:us-east-1:123456789012:key/0a1b";
const nodes = "aws:eks/nodeGroup:NodeGroup";
const openCluster = {
  ...{ endpointPublicAccess: true, endpointPrivateAccess: true, publicAccessCidrs: ["203.0.113.7/32"] },
};

/** Of the rules about clusters of EKS. */
export const clusterCases: Cases = {
  "cluster-endpoint-private": {
    breaks: [
      [cluster, {}],
      [cluster, { vpcConfig: { endpointPrivateAccess: true } }],
      [cluster, { vpcConfig: { endpointPublicAccess: false } }],
      [cluster, { vpcConfig: openCluster }],
      [cluster, { vpcConfig: openCluster, tags: { "tuneup:open": "everyone" } }],
      [cluster, { vpcConfig: { ...openCluster, publicAccessCidrs: undefined }, tags: openToNamed }],
      [cluster, { vpcConfig: { ...openCluster, publicAccessCidrs: ["0.0.0.0/1", "128.0.0.0/1"] }, tags: openToNamed }],
      [cluster, { vpcConfig: { ...openCluster, endpointPrivateAccess: false }, tags: openToNamed }],
    ],
    keeps: [
      [cluster, { vpcConfig: { endpointPublicAccess: false, endpointPrivateAccess: true } }],
      [cluster, { vpcConfig: openCluster, tags: openToNamed }],
    ],
  },
  "cluster-secrets-encrypted": {
    breaks: [
      [cluster, {}],
      [cluster, { encryptionConfig: { provider: { keyArn: oneKey }, resources: [] } }],
    ],
    keeps: [[cluster, { encryptionConfig: { provider: { keyArn: oneKey }, resources: ["secrets"] } }]],
  },
  "cluster-audit-log": {
    breaks: [
      [cluster, {}],
      [cluster, { enabledClusterLogTypes: ["api"] }],
    ],
    keeps: [[cluster, { enabledClusterLogTypes: ["api", "audit"] }]],
  },
  "cluster-version-supported": {
    breaks: [
      [cluster, { version: "1.33" }],
      [nodes, { version: "1.9" }],
      [cluster, { version: "latest" }],
    ],
    keeps: [
      [cluster, {}],
      [cluster, { version: "1.35" }],
      [nodes, { version: "1.40" }],
      [key, { version: "1.2" }],
    ],
  },
  "node-group-closed": {
    breaks: [
      [nodes, {}],
      [nodes, { diskSize: 100 }],
      [nodes, { launchTemplate: { id: "lt-0a" }, remoteAccess: { ec2SshKey: "mine" } }],
      [nodes, { launchTemplate: { id: "lt-0a" }, remoteAccess: { ec2SshKey: "mine", sourceSecurityGroupIds: [] } }],
    ],
    keeps: [
      [nodes, { launchTemplate: { id: "lt-0a", version: "1" } }],
      [nodes, { launchTemplate: {}, remoteAccess: { ec2SshKey: "mine", sourceSecurityGroupIds: ["sg-0a"] } }],
      [cluster, {}],
    ],
  },
};
