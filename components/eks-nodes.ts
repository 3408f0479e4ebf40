import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { LaunchTemplate } from "@pulumi/aws/ec2/launchTemplate.js";
import { NodeGroup } from "@pulumi/aws/eks/nodeGroup.js";
import type { Tags } from "../recipe/aws/tags.ts";
import { gpuLabel, gpuTaint } from "../recipe/eks/cluster-config.ts";
import { nodeGroupName } from "../recipe/eks/names.ts";
import { eksRole } from "./eks-role.ts";

/** Arguments of EksNodes. */
export interface EksNodesArgs {
  readonly clusterName: Input<string>;
  readonly version: Input<string>;
  readonly region: string;
  /** The subnet of the volume's zone. */
  readonly subnetId: Input<string>;
  readonly instanceType: string;
  readonly diskSizeGiB: number;
  /** How many there are to be: none where no run needs one. */
  readonly wanted: 0 | 1;
  /** What the names of template and role begin with. */
  readonly groupName: string;
  readonly tags: Tags;
  /** The group's own, with the end of its lease. */
  readonly leaseTags: Tags;
  /** What has to be there first. */
  readonly after: readonly Resource[];
}

/** A group of so many nodes at most: the volume is attached to one. */
const most = 1;

const policies = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"] as const;

/**
 * The cluster's nodes: one machine with a GPU, of EKS's own image with NVIDIA's driver, or none. Costs what its instance type costs by the hour, and
 * 0.08 USD a GiB and month of its disk, as long as there is one. Another instance type makes another group, which goes on from the last checkpoint.
 */
export class EksNodes extends ComponentResource {
  public readonly group: NodeGroup;
  public readonly groupName: Output<string>;

  constructor(name: string, args: EksNodesArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksNodes", name, {}, options);
    const { clusterName, groupName, version, region, subnetId, instanceType, wanted, tags, leaseTags, after } = args;
    const own = { parent: this };
    const { role, attached } = eksRole(
      {
        ...{
          roleName: `${groupName}-node`,
          of: "what a node of a cluster",
          service: "ec2.amazonaws.com",
          region,
          tags,
        },
        policies: Object.fromEntries(policies.map((policy) => [`${name}-${policy}`, policy])),
      },
      own,
    );
    const template = this.#template(args);
    this.group = new NodeGroup(
      name,
      {
        ...{ clusterName, nodeGroupName, version, nodeRoleArn: role.arn, subnetIds: [subnetId] },
        ...{ amiType: "AL2023_x86_64_NVIDIA", capacityType: "ON_DEMAND", instanceTypes: [instanceType] },
        launchTemplate: { id: template.id, version: template.latestVersion.apply(String) },
        scalingConfig: { minSize: 0, maxSize: most, desiredSize: wanted },
        updateConfig: { maxUnavailable: 1 },
        labels: { ...gpuLabel },
        taints: [{ ...gpuTaint, effect: "NO_SCHEDULE" }],
        tags: { ...tags, ...leaseTags },
      },
      // Its name is always the same.
      { ...own, deleteBeforeReplace: true, dependsOn: [...attached, ...after] },
    );
    this.groupName = this.group.nodeGroupName;
    this.registerOutputs({ groupName: this.groupName });
  }

  #template({ groupName, diskSizeGiB, tags }: EksNodesArgs): LaunchTemplate {
    const named = { ...tags, Name: groupName };
    return new LaunchTemplate(
      groupName,
      {
        description: "tuneup: nodes of a cluster",
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        blockDeviceMappings: [
          {
            deviceName: "/dev/xvda",
            ebs: { volumeType: "gp3", volumeSize: diskSizeGiB, encrypted: "true", deleteOnTermination: "true" },
          },
        ],
        tagSpecifications: [{ resourceType: "instance", tags: named }],
        tags: named,
      },
      { parent: this },
    );
  }
}
