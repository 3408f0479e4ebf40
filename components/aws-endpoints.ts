import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { SecurityGroup } from "@pulumi/aws/ec2/securityGroup.js";
import { VpcEndpoint } from "@pulumi/aws/ec2/vpcEndpoint.js";
import { endpointServices } from "../recipe/aws/prices.ts";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsEndpoints. */
export interface AwsEndpointsArgs {
  readonly region: string;
  readonly vpcId: Input<string>;
  readonly subnetId: Input<string>;
  readonly routeTableId: Input<string>;
  readonly groupName: string;
  readonly tags: Tags;
}

/**
 * Ways from a network to Systems Manager and to S3 that leave AWS nowhere. Costs 0.01 USD an hour for each of the three of Systems Manager
 * (us-east-1); that of S3 costs nothing.
 */
export class AwsEndpoints extends ComponentResource {
  /** The group of those of Systems Manager: nothing comes in until a rule lets it. */
  public readonly groupId: Output<string>;
  /** Addresses of S3, for a rule. */
  public readonly bucketsId: Output<string>;
  public readonly ready: readonly Resource[];

  constructor(name: string, args: AwsEndpointsArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsEndpoints", name, {}, options);
    const { region, vpcId, subnetId, routeTableId, groupName, tags } = args;
    const own = { parent: this };
    const named = (what: string) => ({ ...tags, Name: `${groupName}-${what}` });
    const group = new SecurityGroup(
      `${groupName}-endpoints`,
      {
        ...{ vpcId, tags: named("endpoints") },
        description: "tuneup: endpoints of Systems Manager, for the machine alone",
      },
      own,
    );
    const buckets = new VpcEndpoint(
      `${name}-s3`,
      {
        ...{ vpcId, serviceName: `com.amazonaws.${region}.s3`, vpcEndpointType: "Gateway" },
        ...{ routeTableIds: [routeTableId], tags: named("s3") },
      },
      own,
    );
    const services = endpointServices.map(
      (service) =>
        new VpcEndpoint(
          `${name}-${service}`,
          {
            ...{ vpcId, serviceName: `com.amazonaws.${region}.${service}`, vpcEndpointType: "Interface" },
            ...{ subnetIds: [subnetId], securityGroupIds: [group.id], privateDnsEnabled: true },
            tags: named(service),
          },
          own,
        ),
    );
    this.groupId = group.id;
    this.bucketsId = buckets.prefixListId;
    this.ready = [buckets, ...services];
    this.registerOutputs({ groupId: this.groupId });
  }
}
