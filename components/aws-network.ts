import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { DefaultSecurityGroup } from "@pulumi/aws/ec2/defaultSecurityGroup.js";
import { RouteTable } from "@pulumi/aws/ec2/routeTable.js";
import { RouteTableAssociation } from "@pulumi/aws/ec2/routeTableAssociation.js";
import { Subnet } from "@pulumi/aws/ec2/subnet.js";
import { Vpc } from "@pulumi/aws/ec2/vpc.js";
import { SecurityGroupIngressRule } from "@pulumi/aws/vpc/securityGroupIngressRule.js";
import type { Tags } from "../recipe/aws/tags.ts";
import { AwsEndpoints } from "./aws-endpoints.ts";
import { AwsGateway } from "./aws-gateway.ts";
import { AwsMachineGroup, https } from "./aws-groups.ts";
import { AwsPublicSubnets } from "./aws-public-subnets.ts";

/** Arguments of AwsNetwork. */
export interface AwsNetworkArgs {
  readonly region: string;
  /** The zone of the machine and its volume. */
  readonly zone: string;
  /** Way to the internet: by a NAT gateway, or none. */
  readonly egress: "nat" | "none";
  /** Another zone, where a load balancer is to stand in both. Default: none is. */
  readonly secondZone?: string | undefined;
  /** All zones where a machine may be, its own among them. Default: that one. */
  readonly zones?: readonly string[] | undefined;
  /** What the names of its groups begin with. */
  readonly groupName: string;
  readonly tags: Tags;
}

/** What a machine needs of a network, whoever made it. */
export interface Network {
  readonly subnetId: Output<string>;
  /** One in each zone where a machine may be. */
  readonly subnetIds: Output<readonly string[]>;
  readonly groupId: Output<string>;
  /** What has to be there before the machine starts, and as long as it is reached. */
  readonly ready: readonly Resource[];
  /** Where a load balancer stands. Default: nowhere. */
  readonly open?: PublicNetwork | undefined;
}

/** What a load balancer needs of a network. */
export interface PublicNetwork {
  readonly vpcId: Input<string>;
  /** Public subnets in two zones, the machine's among them. */
  readonly subnetIds: readonly Input<string>[];
  /** What has to be there as long as the load balancer is. */
  readonly ready: readonly Resource[];
}

const addresses = {
  vpc: "10.73.0.0/16",
  private: (index: number) => `10.73.${16 * index}.0/20`,
  public: "10.73.240.0/24",
  secondPublic: "10.73.241.0/24",
} as const;

/** No region has more of its own. */
const mostZones = 8;

/**
 * A network of the stack's own: a private subnet whose machines have no public address, endpoints by which Systems Manager reaches them, and
 * groups that let nothing in. Costs 0.03 USD an hour for the endpoints; with `egress: nat` 0.05 more for the gateway and its address, and what
 * AWS bills for each GB that passes it (us-east-1; docs/aws.md). With `secondZone` there are public subnets in two zones, which cost nothing.
 */
export class AwsNetwork extends ComponentResource implements Network {
  public readonly subnetId: Output<string>;
  public readonly subnetIds: Output<readonly string[]>;
  public readonly groupId: Output<string>;
  public readonly ready: readonly Resource[];
  public readonly open: PublicNetwork | undefined;

  constructor(name: string, args: AwsNetworkArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsNetwork", name, {}, options);
    const { region, egress, secondZone, groupName, tags } = args;
    const own = { parent: this };
    const vpcId = this.#vpc(name, args);
    const { subnetId, subnetIds, routeTableId, routed } = this.#inside(name, vpcId, args);
    const shared = { vpcId, routeTableId, groupName, tags };
    const endpoints = new AwsEndpoints(name, { ...shared, region, subnetId }, own);
    const closed = {
      endpoints: { ...https, referencedSecurityGroupId: endpoints.groupId },
      s3: { ...https, prefixListId: endpoints.bucketsId },
    };
    const to = egress === "none" ? { to: closed } : {};
    const group = new AwsMachineGroup(name, { groupName, vpcId, tags, ...to }, own);
    const admitted = new SecurityGroupIngressRule(
      `${name}-endpoints`,
      { securityGroupId: endpoints.groupId, ...https, referencedSecurityGroupId: group.groupId, tags },
      own,
    );
    const outside = this.#outside(name, vpcId, args);
    const ways =
      egress === "nat" && outside?.subnetIds[0] !== undefined
        ? [new AwsGateway(name, { ...shared, subnetId: outside.subnetIds[0], after: outside.ready }, own).route]
        : [];
    this.open = secondZone === undefined ? undefined : outside;
    this.subnetId = subnetId;
    this.subnetIds = all(subnetIds);
    this.groupId = group.groupId;
    this.ready = [...routed, ...group.rules, admitted, ...endpoints.ready, ...ways];
    this.registerOutputs({ subnetId: this.subnetId, groupId: this.groupId });
  }

  /** A private subnet in each zone, with one table of routes: the endpoints and the gateway are in the first. */
  #inside(name: string, vpcId: Input<string>, { zone, zones = [zone], groupName, tags }: AwsNetworkArgs) {
    const own = { parent: this };
    const inside = { ...tags, Name: `${groupName}-private` };
    const table = new RouteTable(`${name}-private`, { vpcId, tags: inside }, own);
    const made = zones.slice(0, mostZones).map((availabilityZone, index) => {
      const which = index === 0 ? `${name}-private` : `${name}-private-${availabilityZone}`;
      const cidrBlock = addresses.private(index);
      const subnet = new Subnet(
        which,
        { ...{ vpcId, availabilityZone, cidrBlock, mapPublicIpOnLaunch: false }, tags: inside },
        own,
      );
      return { subnet, routed: new RouteTableAssociation(which, { subnetId: subnet.id, routeTableId: table.id }, own) };
    });
    const subnetIds = made.map(({ subnet }) => subnet.id);
    const [subnetId] = subnetIds as [Output<string>];
    return { subnetId, subnetIds, routeTableId: table.id, routed: made.map(({ routed }) => routed) };
  }

  /** Public subnets, where something stands in them. */
  #outside(name: string, vpcId: Input<string>, args: AwsNetworkArgs): PublicNetwork | undefined {
    const { zone, egress, secondZone, groupName, tags } = args;
    if (egress === "none" && secondZone === undefined) return undefined;
    const subnets = [
      { zone, cidrBlock: addresses.public },
      ...(secondZone === undefined ? [] : [{ zone: secondZone, cidrBlock: addresses.secondPublic }]),
    ];
    const { subnetIds, ready } = new AwsPublicSubnets(name, { vpcId, subnets, groupName, tags }, { parent: this });
    return { vpcId, subnetIds, ready };
  }

  #vpc(name: string, { groupName, tags }: AwsNetworkArgs): Input<string> {
    const own = { parent: this };
    const named = { ...tags, Name: groupName };
    const vpc = new Vpc(
      name,
      { cidrBlock: addresses.vpc, enableDnsSupport: true, enableDnsHostnames: true, tags: named },
      own,
    );
    // Taken over with no rule at all: what names no group is closed. Without tags, as the root disk of the machine, for the same reason.
    new DefaultSecurityGroup(name, { vpcId: vpc.id, ingress: [], egress: [] }, own);
    return vpc.id;
  }
}
