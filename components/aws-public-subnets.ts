import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { InternetGateway } from "@pulumi/aws/ec2/internetGateway.js";
import { Route } from "@pulumi/aws/ec2/route.js";
import { RouteTable } from "@pulumi/aws/ec2/routeTable.js";
import { RouteTableAssociation } from "@pulumi/aws/ec2/routeTableAssociation.js";
import { Subnet } from "@pulumi/aws/ec2/subnet.js";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsPublicSubnets. */
export interface AwsPublicSubnetsArgs {
  readonly vpcId: Input<string>;
  /** One subnet each, with its addresses. */
  readonly subnets: readonly { readonly zone: string; readonly cidrBlock: string }[];
  readonly groupName: string;
  readonly tags: Tags;
}

/**
 * Subnets with a way to and from the internet, for what has an address of its own there: a NAT gateway, a load balancer. Nothing in them gets a public
 * address by itself. Costs nothing.
 */
export class AwsPublicSubnets extends ComponentResource {
  /** In the order of the zones. */
  public readonly subnetIds: readonly Output<string>[];
  /** Without them nothing gets out of the subnets. */
  public readonly ready: readonly Resource[];

  constructor(name: string, args: AwsPublicSubnetsArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsPublicSubnets", name, {}, options);
    const { vpcId, subnets, groupName, tags } = args;
    const own = { parent: this };
    const named = { ...tags, Name: `${groupName}-public` };
    const door = new InternetGateway(name, { vpcId, tags: { ...tags, Name: groupName } }, own);
    const table = new RouteTable(`${name}-public`, { vpcId, tags: named }, own);
    const out = new Route(
      `${name}-public`,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: door.id },
      own,
    );
    const made = subnets.map(({ zone, cidrBlock }, index) => {
      const which = index === 0 ? `${name}-public` : `${name}-public-${index + 1}`;
      const subnet = new Subnet(
        which,
        { vpcId, availabilityZone: zone, cidrBlock, mapPublicIpOnLaunch: false, tags: named },
        own,
      );
      return { subnet, routed: new RouteTableAssociation(which, { subnetId: subnet.id, routeTableId: table.id }, own) };
    });
    this.subnetIds = made.map(({ subnet }) => subnet.id);
    this.ready = [door, out, ...made.map(({ routed }) => routed)];
    this.registerOutputs({ subnetIds: this.subnetIds });
  }
}
