import {
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
import { VpcEndpoint } from "@pulumi/aws/ec2/vpcEndpoint.js";
import type { Tags } from "../recipe/aws/tags.ts";
import { AwsGateway } from "./aws-gateway.ts";
import { AwsPublicSubnets } from "./aws-public-subnets.ts";

/** Arguments of EksNetwork. */
export interface EksNetworkArgs {
  readonly region: string;
  /** The zone of nodes and volume, and another one: EKS places its control plane in two. */
  readonly zones: readonly [string, string];
  readonly groupName: string;
  readonly tags: Tags;
}

/** What a cluster needs of a network, whoever made it. */
export interface ClusterNetwork {
  /** Private subnets in two zones, that of the nodes first. */
  readonly subnetIds: readonly [Input<string>, Input<string>];
  /** What has to be there before a node starts, and as long as one runs. */
  readonly ready: readonly Resource[];
}

const addresses = {
  vpc: "10.73.0.0/16",
  private: ["10.73.0.0/18", "10.73.64.0/18"],
  public: "10.73.240.0/24",
} as const;

/**
 * A network of the stack's own: private subnets in two zones, whose nodes and Pods have no public address and get out by a NAT gateway. Costs 0.05 USD
 * an hour, and what AWS bills for each GB that passes the gateway (us-east-1; docs/aws.md); what goes to S3 passes an endpoint that costs nothing.
 */
export class EksNetwork extends ComponentResource implements ClusterNetwork {
  public readonly subnetIds: readonly [Output<string>, Output<string>];
  public readonly ready: readonly Resource[];

  constructor(name: string, args: EksNetworkArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksNetwork", name, {}, options);
    const { region, zones, groupName, tags } = args;
    const own = { parent: this };
    const vpcId = this.#vpc(name, args);
    const inside = { ...tags, Name: `${groupName}-private` };
    const table = new RouteTable(`${name}-private`, { vpcId, tags: inside }, own);
    const parts = [0, 1].map((index) => {
      const which = index === 0 ? `${name}-private` : `${name}-private-2`;
      const cidrBlock = addresses.private[index] ?? "";
      const place = { vpcId, availabilityZone: zones[index] ?? "", cidrBlock, mapPublicIpOnLaunch: false };
      const { id: subnetId } = new Subnet(which, { ...place, tags: inside }, own);
      return { subnetId, routed: new RouteTableAssociation(which, { subnetId, routeTableId: table.id }, own) };
    });
    const buckets = new VpcEndpoint(
      `${name}-s3`,
      {
        ...{ vpcId, serviceName: `com.amazonaws.${region}.s3`, vpcEndpointType: "Gateway" },
        ...{ routeTableIds: [table.id], tags: { ...tags, Name: `${groupName}-s3` } },
      },
      own,
    );
    const way = this.#way(name, { vpcId, routeTableId: table.id }, args);
    const [first, second] = parts.map(({ subnetId }) => subnetId) as [Output<string>, Output<string>];
    this.subnetIds = [first, second];
    this.ready = [...parts.map(({ routed }) => routed), buckets, way];
    this.registerOutputs({ subnetIds: this.subnetIds });
  }

  /** Out by a NAT gateway in the nodes' zone. */
  #way(
    name: string,
    { vpcId, routeTableId }: { readonly vpcId: Input<string>; readonly routeTableId: Input<string> },
    { zones: [zone], groupName, tags }: EksNetworkArgs,
  ): Resource {
    const own = { parent: this };
    const subnets = [{ zone, cidrBlock: addresses.public }];
    const outside = new AwsPublicSubnets(name, { vpcId, subnets, groupName, tags }, own);
    const [subnetId = ""] = outside.subnetIds;
    return new AwsGateway(name, { subnetId, routeTableId, groupName, tags, after: outside.ready }, own).route;
  }

  #vpc(name: string, { groupName, tags }: EksNetworkArgs): Input<string> {
    const own = { parent: this };
    const dns = { enableDnsSupport: true, enableDnsHostnames: true };
    const vpc = new Vpc(name, { cidrBlock: addresses.vpc, ...dns, tags: { ...tags, Name: groupName } }, own);
    // Taken over with no rule at all, and without tags, as on aws.
    new DefaultSecurityGroup(name, { vpcId: vpc.id, ingress: [], egress: [] }, own);
    return vpc.id;
  }
}
