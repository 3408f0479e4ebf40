import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { Group } from "@pulumi/aws/autoscaling/group.js";
import { LaunchTemplate } from "@pulumi/aws/ec2/launchTemplate.js";
import type { Ends } from "../recipe/aws/ends.ts";
import type { Tags } from "../recipe/aws/tags.ts";
import { groupUserData } from "../recipe/aws/user-data.ts";
import type { FoundImage } from "./aws-spot-lookup.ts";

/** Arguments of AwsGroup. */
export interface AwsGroupArgs {
  /** Its name, by which its machines and the schedule know it. */
  readonly groupName: string;
  readonly region: string;
  /** What AWS may choose from, the best first. */
  readonly instanceTypes: readonly string[];
  /** Did the user say the order? Then capacity comes first and that order second; else price does. */
  readonly isOrdered: boolean;
  /** How many machines are to be on demand: 1 where spot capacity was waited for in vain (`onDemandBase`). */
  readonly onDemandBase: 0 | 1;
  /** Minutes that it may take until AWS has a machine. */
  readonly patienceMinutes: number;
  /** Id of the image, and its root disk; a group that is there keeps its own. */
  readonly ami: string;
  readonly image: FoundImage;
  /** Room for the data directory beside the image, on the root disk of each machine. */
  readonly dataGiB: number;
  readonly subnetIds: Input<readonly string[]>;
  readonly securityGroupId: Input<string>;
  /** Name of the instance profile. */
  readonly profileName: Input<string>;
  /** The data directory. */
  readonly mountPoint: string;
  /** When every machine of it ends, in ISO 8601. */
  readonly expiry: string;
  readonly ends?: Ends | undefined;
  /** Where one machine leaves what the next goes on by (`resumeAddress`). */
  readonly resume: string;
  /** Those of its machines, with the end of the lease. */
  readonly tags: Tags;
  /** What has to be there first. */
  readonly after: readonly Resource[];
}

/**
 * A group of at most one machine, of spot capacity: when AWS takes it back, AWS starts another in whatever zone and of whatever type there is, without any
 * server of ours. It never has to have one (`minSize` 0), so that every end is one number: the desired capacity, 0 from then on. Costs what its machine
 * costs, which is at most the price on demand (docs/aws.md).
 */
export class AwsGroup extends ComponentResource {
  public readonly groupId: Output<string>;

  constructor(name: string, args: AwsGroupArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsGroup", name, {}, options);
    const { groupName, instanceTypes, isOrdered, subnetIds, tags, after, onDemandBase } = args;
    const template = this.#template(name, args);
    const group = new Group(
      name,
      {
        ...{ name: groupName, minSize: 0, maxSize: 1, desiredCapacity: 1 },
        vpcZoneIdentifiers: subnetIds as Input<string[]>,
        // A machine that AWS is likely to take back is replaced before.
        ...{ capacityRebalance: true, healthCheckType: "EC2" },
        mixedInstancesPolicy: {
          instancesDistribution: {
            ...{ onDemandBaseCapacity: onDemandBase, onDemandPercentageAboveBaseCapacity: 0 },
            spotAllocationStrategy: isOrdered ? "capacity-optimized-prioritized" : "price-capacity-optimized",
          },
          launchTemplate: {
            launchTemplateSpecification: {
              launchTemplateId: template.id,
              version: template.latestVersion.apply(String),
            },
            overrides: instanceTypes.map((instanceType) => ({ instanceType })),
          },
        },
        // It goes on asking by itself; after that the user is told, and the next `up` may take one on demand.
        ...{ ignoreFailedScalingActivities: true, waitForCapacityTimeout: `${args.patienceMinutes}m` },
        // What a machine is told at its start can't be changed while it runs, as on demand.
        // One that the new template has started already is not replaced again.
        instanceRefresh: { strategy: "Rolling", preferences: { minHealthyPercentage: 0, skipMatching: true } },
        tags: Object.entries({ ...tags, Name: groupName }).map(([key, value]) => ({
          ...{ key, value, propagateAtLaunch: true },
        })),
      },
      { parent: this, dependsOn: [...after] },
    );
    this.groupId = group.id;
    this.registerOutputs({ groupId: this.groupId });
  }

  #template(name: string, args: AwsGroupArgs): LaunchTemplate {
    const { groupName, region, ami, image, dataGiB, securityGroupId, profileName, tags } = args;
    const { mountPoint, expiry, ends, resume } = args;
    const told = groupUserData({ group: groupName, region, mountPoint, expiry, ends, resume });
    return new LaunchTemplate(
      name,
      {
        ...{ imageId: ami, updateDefaultVersion: true },
        iamInstanceProfile: { name: profileName },
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        networkInterfaces: [{ deviceIndex: 0, associatePublicIpAddress: "false", securityGroups: [securityGroupId] }],
        blockDeviceMappings: [
          {
            deviceName: image.rootDevice,
            ebs: {
              ...{ volumeType: "gp3", volumeSize: image.rootGiB + dataGiB },
              ...{ encrypted: "true", deleteOnTermination: "true" },
            },
          },
        ],
        instanceInitiatedShutdownBehavior: "terminate",
        userData: Buffer.from(told).toString("base64"),
        // Who makes the group has to be allowed to start what is tagged, and is asked by the template.
        tagSpecifications: [{ resourceType: "instance", tags: { ...tags } }],
        tags: { ...tags },
      },
      // A newer image, whose root disk may be of another size, is for the next stack.
      { parent: this, ignoreChanges: ["imageId", "blockDeviceMappings"] },
    );
  }
}
