import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { LogGroup } from "@pulumi/aws/cloudwatch/logGroup.js";
import { Cluster } from "@pulumi/aws/eks/cluster.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { Key } from "@pulumi/aws/kms/key.js";
import { SecurityGroupIngressRule } from "@pulumi/aws/vpc/securityGroupIngressRule.js";
import { networkBlocks } from "../recipe/aws/public-chat.ts";
import { openToNamed, type Tags } from "../recipe/aws/tags.ts";
import type { EksConfig } from "../recipe/eks/config.ts";
import { mayUseKey } from "../recipe/eks/documents.ts";
import { kubeconfigOf } from "../recipe/eks/kubeconfig.ts";
import { logGroupName } from "../recipe/eks/names.ts";
import { eksRole } from "./eks-role.ts";

/** Arguments of EksCluster. */
export interface EksClusterArgs {
  readonly config: Pick<EksConfig, "region" | "version" | "endpoint" | "allowedCidrs">;
  /** In AWS: by it the cluster is found. */
  readonly clusterName: string;
  /** Private ones, in two zones. */
  readonly subnetIds: readonly Input<string>[];
  readonly tags: Tags;
}

/** Days of the control plane's log. */
const logDays = 90;

/**
 * The control plane of a cluster: its secrets are encrypted with a key of its own, its audit log is kept for 90 days, and its API is reached from its
 * VPC, and from outside by named addresses alone where the config says so. Costs 0.10 USD an hour (us-east-1) as long as the stack is there, with or
 * without nodes, and 1 USD a month for the key.
 */
export class EksCluster extends ComponentResource {
  /** Known when the control plane is there. */
  public readonly name: Output<string>;
  public readonly version: Output<string>;
  /** Has no secret in it. */
  public readonly kubeconfig: Output<string>;
  /** Without them its API is not reached, or it can't be taken down. */
  public readonly ready: readonly Resource[];
  /** The control plane itself: with it goes all that is on the cluster. */
  public readonly plane: Resource;

  constructor(name: string, args: EksClusterArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksCluster", name, {}, options);
    const { config, clusterName, subnetIds, tags } = args;
    const { region, version } = config;
    const own = { parent: this };
    const { role, attached } = eksRole(
      {
        ...{ roleName: `${clusterName}-cluster`, of: "what the control plane of a cluster" },
        ...{ service: "eks.amazonaws.com", region, tags, policies: { [`${name}-cluster`]: "AmazonEKSClusterPolicy" } },
      },
      own,
    );
    const key = new Key(
      name,
      {
        description: `tuneup: secrets of the cluster ${clusterName}`,
        ...{ enableKeyRotation: true, deletionWindowInDays: 7, tags: { ...tags, Name: clusterName } },
      },
      own,
    );
    const policy = key.arn.apply(mayUseKey);
    const opens = new RolePolicy(`${clusterName}-key`, { role: role.name, policy }, own);
    // Else EKS makes it, kept for ever and left behind.
    const log = new LogGroup(name, { name: logGroupName(clusterName), retentionInDays: logDays, tags }, own);
    const cluster = new Cluster(
      name,
      {
        ...{ name: clusterName, version, roleArn: role.arn },
        vpcConfig: { subnetIds: [...subnetIds], ...accessOf(config) },
        accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: true },
        // They are addons of ours (EksAddons).
        bootstrapSelfManagedAddons: false,
        // A version that is past is moved on by AWS instead of costing six times as much.
        upgradePolicy: { supportType: "STANDARD" },
        encryptionConfig: { provider: { keyArn: key.arn }, resources: ["secrets"] },
        enabledClusterLogTypes: ["audit", "authenticator"],
        tags: { ...tags, ...(config.endpoint === "public" ? openToNamed : {}), Name: clusterName },
      },
      { ...own, dependsOn: [log, ...attached, opens] },
    );
    const rules = config.endpoint === "private" ? this.#rules(name, args, cluster) : [];
    this.name = cluster.name;
    this.version = cluster.version;
    this.kubeconfig = all([cluster.name, cluster.endpoint, cluster.certificateAuthority]).apply(
      ([made, endpoint, { data: authority }]) => kubeconfigOf({ region, name: made, endpoint, authority }),
    );
    this.ready = [cluster, ...rules];
    this.plane = cluster;
    this.registerOutputs({ name: this.name });
  }

  /** The named addresses of the VPC and of what is connected with it. */
  #rules(name: string, { config: { allowedCidrs = [] }, tags }: EksClusterArgs, cluster: Cluster): Resource[] {
    const securityGroupId = cluster.vpcConfig.clusterSecurityGroupId;
    return networkBlocks(allowedCidrs).map(
      (cidrIpv4, index) =>
        new SecurityGroupIngressRule(
          `${name}-api-${index + 1}`,
          { securityGroupId, ipProtocol: "tcp", fromPort: 443, toPort: 443, cidrIpv4, tags: { ...tags } },
          { parent: this },
        ),
    );
  }
}

function accessOf({ endpoint, allowedCidrs = [] }: EksClusterArgs["config"]) {
  if (endpoint === "private") return { endpointPrivateAccess: true, endpointPublicAccess: false };
  const publicAccessCidrs = networkBlocks(allowedCidrs);
  return { endpointPrivateAccess: true, endpointPublicAccess: true, publicAccessCidrs };
}
