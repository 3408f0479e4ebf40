import { ComponentResource, type ComponentResourceOptions, type Input, type Resource } from "../provider/pulumi.ts";
import { Eip } from "@pulumi/aws/ec2/eip.js";
import { NatGateway } from "@pulumi/aws/ec2/natGateway.js";
import { Route } from "@pulumi/aws/ec2/route.js";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsGateway. */
export interface AwsGatewayArgs {
  /** A public subnet. */
  readonly subnetId: Input<string>;
  /** The table of the subnet that is to get out. */
  readonly routeTableId: Input<string>;
  readonly groupName: string;
  readonly tags: Tags;
  /** What has to be there first: the public subnet's own way out. */
  readonly after: readonly Resource[];
}

/**
 * A way out, and none in: a NAT gateway in a public subnet. Costs 0.045 USD an hour, 0.005 for its address, and 0.045 for each GB that
 * passes (us-east-1), as long as the stack is there.
 */
export class AwsGateway extends ComponentResource {
  /** From the private subnet to the gateway. */
  public readonly route: Resource;

  constructor(name: string, args: AwsGatewayArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsGateway", name, {}, options);
    const { subnetId, routeTableId, groupName, tags } = args;
    const own = { parent: this };
    const named = { ...tags, Name: groupName };
    const after = { ...own, dependsOn: [...args.after] };
    const address = new Eip(name, { domain: "vpc", tags: named }, after);
    const gateway = new NatGateway(
      name,
      { subnetId, allocationId: address.allocationId, connectivityType: "public", tags: named },
      after,
    );
    this.route = new Route(
      `${name}-private`,
      { routeTableId, destinationCidrBlock: "0.0.0.0/0", natGatewayId: gateway.id },
      own,
    );
    this.registerOutputs();
  }
}
