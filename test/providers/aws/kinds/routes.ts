import { createHash } from "node:crypto";
import type * as ec2Types from "@pulumi/aws/ec2/index.js";
import { found } from "../clients.ts";
import { given, kind, tagBag, tagged } from "../kind.ts";

export const routeTable = kind<ec2Types.RouteTableArgs>({
  title: "EC2 Route Table",
  replaces: ["vpcId"],
  async create({ ec2 }, { vpcId, tags }) {
    const { RouteTable } = await ec2.createRouteTable({ VpcId: vpcId, ...tagged("route-table", tags) });
    return given(RouteTable?.RouteTableId, "RouteTableId");
  },
  async read({ ec2 }, id) {
    const live = (await found(ec2.describeRouteTables({ RouteTableIds: [id] })))?.RouteTables?.[0];
    if (live === undefined) return undefined;
    return { vpcId: given(live.VpcId, "VpcId"), tags: tagBag(live.Tags) };
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteRouteTable({ RouteTableId: id }));
  },
});

export const routeTableAssociation = kind<ec2Types.RouteTableAssociationArgs>({
  title: "EC2 Route Table Association",
  replaces: ["subnetId", "gatewayId"],
  async create({ ec2 }, { routeTableId, subnetId }) {
    const made = await ec2.associateRouteTable({ RouteTableId: routeTableId, SubnetId: given(subnetId, "subnetId") });
    return given(made.AssociationId, "AssociationId");
  },
  async read({ ec2 }, id, { routeTableId }) {
    const tables = (await found(ec2.describeRouteTables({ RouteTableIds: [routeTableId] })))?.RouteTables ?? [];
    const live = tables.flatMap(({ Associations = [] }) => Associations);
    return live.some((one) => one.RouteTableAssociationId === id) ? { routeTableId } : undefined;
  },
  async delete({ ec2 }, id) {
    await found(ec2.disassociateRouteTable({ AssociationId: id }));
  },
});

export const route = kind<ec2Types.RouteArgs>({
  title: "EC2 Route",
  replaces: ["routeTableId", "destinationCidrBlock"],
  async create({ ec2 }, { routeTableId, destinationCidrBlock, gatewayId, natGatewayId }) {
    const destination = given(destinationCidrBlock, "destinationCidrBlock");
    await ec2.createRoute({
      RouteTableId: routeTableId,
      DestinationCidrBlock: destination,
      ...(gatewayId === undefined ? {} : { GatewayId: gatewayId }),
      ...(natGatewayId === undefined ? {} : { NatGatewayId: natGatewayId }),
    });
    return `r-${routeTableId}${createHash("sha256").update(destination).digest("hex").slice(0, 8)}`;
  },
  async read({ ec2 }, _id, { routeTableId, destinationCidrBlock }) {
    const tables = (await found(ec2.describeRouteTables({ RouteTableIds: [routeTableId] })))?.RouteTables ?? [];
    const live = tables.flatMap(({ Routes = [] }) => Routes);
    return live.some((one) => one.DestinationCidrBlock === destinationCidrBlock) ? { routeTableId } : undefined;
  },
  async delete({ ec2 }, _id, { routeTableId, destinationCidrBlock }) {
    await found(
      ec2.deleteRoute({
        RouteTableId: routeTableId,
        DestinationCidrBlock: given(destinationCidrBlock, "destinationCidrBlock"),
      }),
    );
  },
});

export const vpcEndpoint = kind<ec2Types.VpcEndpointArgs>({
  title: "EC2 VPC Endpoint",
  replaces: ["serviceName", "vpcId", "vpcEndpointType"],
  async create({ ec2 }, inputs) {
    const { VpcEndpoint } = await ec2.createVpcEndpoint({
      VpcId: inputs.vpcId,
      ServiceName: given(inputs.serviceName, "serviceName"),
      VpcEndpointType: inputs.vpcEndpointType === "Interface" ? "Interface" : "Gateway",
      ...(inputs.policy === undefined ? {} : { PolicyDocument: inputs.policy }),
      ...(inputs.privateDnsEnabled === undefined ? {} : { PrivateDnsEnabled: inputs.privateDnsEnabled }),
      ...(inputs.subnetIds === undefined ? {} : { SubnetIds: inputs.subnetIds }),
      ...(inputs.securityGroupIds === undefined ? {} : { SecurityGroupIds: inputs.securityGroupIds }),
      ...(inputs.routeTableIds === undefined ? {} : { RouteTableIds: inputs.routeTableIds }),
      ...tagged("vpc-endpoint", inputs.tags),
    });
    return given(VpcEndpoint?.VpcEndpointId, "VpcEndpointId");
  },
  async read({ ec2 }, id) {
    const live = (await found(ec2.describeVpcEndpoints({ VpcEndpointIds: [id] })))?.VpcEndpoints?.[0];
    const state = String(live?.State).toLowerCase();
    if (live === undefined || state.startsWith("delet")) return undefined;
    const lists = await ec2.describeManagedPrefixLists({
      Filters: [{ Name: "prefix-list-name", Values: [given(live.ServiceName, "ServiceName")] }],
    });
    const prefixListId = lists.PrefixLists?.[0]?.PrefixListId;
    return { vpcId: given(live.VpcId, "VpcId"), tags: tagBag(live.Tags), state, prefixListId };
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteVpcEndpoints({ VpcEndpointIds: [id] }));
  },
});
