import { ComponentResource, type ComponentResourceOptions, type Input, type Resource } from "@pulumi/pulumi";
import { Eip } from "@pulumi/aws/ec2/eip.js";
import { InternetGateway } from "@pulumi/aws/ec2/internetGateway.js";
import { NatGateway } from "@pulumi/aws/ec2/natGateway.js";
import { Route } from "@pulumi/aws/ec2/route.js";
import { RouteTable } from "@pulumi/aws/ec2/routeTable.js";
import { RouteTableAssociation } from "@pulumi/aws/ec2/routeTableAssociation.js";
import { Subnet } from "@pulumi/aws/ec2/subnet.js";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsGateway. */
export interface AwsGatewayArgs {
  readonly vpcId: Input<string>;
  readonly zone: string;
  /** Addresses of its own subnet. */
  readonly cidrBlock: string;
  /** The table of the subnet that is to get out. */
  readonly routeTableId: Input<string>;
  readonly groupName: string;
  readonly tags: Tags;
}

/**
 * A way out, and none in: a NAT gateway in a public subnet of its own. Costs 0.045 USD an hour, 0.005 for its address, and 0.045 for each GB that
 * passes (us-east-1), as long as the stack is there.
 */
export class AwsGateway extends ComponentResource {
  /** From the private subnet to the gateway. */
  public readonly route: Resource;

  constructor(name: string, args: AwsGatewayArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsGateway", name, {}, options);
    const { vpcId, zone, cidrBlock, routeTableId, groupName, tags } = args;
    const own = { parent: this };
    const named = { ...tags, Name: groupName };
    const everywhere = { destinationCidrBlock: "0.0.0.0/0" };
    const door = new InternetGateway(name, { vpcId, tags: named }, own);
    // Nothing but the gateway is in it, whose address is given by hand.
    const subnet = new Subnet(
      `${name}-public`,
      {
        ...{ vpcId, availabilityZone: zone, cidrBlock, mapPublicIpOnLaunch: false },
        tags: { ...tags, Name: `${groupName}-public` },
      },
      own,
    );
    const table = new RouteTable(`${name}-public`, { vpcId, tags: { ...tags, Name: `${groupName}-public` } }, own);
    const out = new Route(`${name}-public`, { routeTableId: table.id, ...everywhere, gatewayId: door.id }, own);
    const routed = new RouteTableAssociation(`${name}-public`, { subnetId: subnet.id, routeTableId: table.id }, own);
    const address = new Eip(name, { domain: "vpc", tags: named }, { ...own, dependsOn: [door] });
    const gateway = new NatGateway(
      name,
      { subnetId: subnet.id, allocationId: address.allocationId, connectivityType: "public", tags: named },
      { ...own, dependsOn: [out, routed] },
    );
    this.route = new Route(`${name}-private`, { routeTableId, ...everywhere, natGatewayId: gateway.id }, own);
    this.registerOutputs();
  }
}
