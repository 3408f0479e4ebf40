import type * as ec2Types from "@pulumi/aws/ec2/index.js";
import { found } from "../clients.ts";
import { given, kind, tagBag, tagged, waitFor } from "../kind.ts";

export const vpc = kind<ec2Types.VpcArgs>({
  title: "EC2 VPC",
  replaces: ["cidrBlock", "instanceTenancy"],
  async create({ ec2 }, { cidrBlock, tags }) {
    const { Vpc } = await ec2.createVpc({ CidrBlock: given(cidrBlock, "cidrBlock"), ...tagged("vpc", tags) });
    return given(Vpc?.VpcId, "VpcId");
  },
  async settle({ ec2 }, id, { enableDnsHostnames, enableDnsSupport }) {
    await waitFor(`${id} to be available`, 60, async () => {
      const { Vpcs } = await ec2.describeVpcs({ VpcIds: [id] });
      return Vpcs?.[0]?.State === "available";
    });
    if (enableDnsSupport === false) await ec2.modifyVpcAttribute({ VpcId: id, EnableDnsSupport: { Value: false } });
    if (enableDnsHostnames === true) await ec2.modifyVpcAttribute({ VpcId: id, EnableDnsHostnames: { Value: true } });
  },
  async read({ ec2 }, id) {
    const live = (await found(ec2.describeVpcs({ VpcIds: [id] })))?.Vpcs?.[0];
    if (live === undefined) return undefined;
    const groups = await ec2.describeSecurityGroups({
      Filters: [
        { Name: "vpc-id", Values: [id] },
        { Name: "group-name", Values: ["default"] },
      ],
    });
    return {
      cidrBlock: given(live.CidrBlock, "CidrBlock"),
      tags: tagBag(live.Tags),
      arn: `arn:aws:ec2:vpc/${id}`,
      defaultSecurityGroupId: groups.SecurityGroups?.[0]?.GroupId,
    };
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteVpc({ VpcId: id }));
  },
});

export const subnet = kind<ec2Types.SubnetArgs>({
  title: "EC2 Subnet",
  replaces: ["vpcId", "cidrBlock", "availabilityZone"],
  async create({ ec2 }, { vpcId, cidrBlock, availabilityZone, tags }) {
    const { Subnet } = await ec2.createSubnet({
      VpcId: vpcId,
      ...(cidrBlock === undefined ? {} : { CidrBlock: cidrBlock }),
      ...(availabilityZone === undefined ? {} : { AvailabilityZone: availabilityZone }),
      ...tagged("subnet", tags),
    });
    return given(Subnet?.SubnetId, "SubnetId");
  },
  async settle({ ec2 }, id, { mapPublicIpOnLaunch = false }) {
    await ec2.modifySubnetAttribute({ SubnetId: id, MapPublicIpOnLaunch: { Value: mapPublicIpOnLaunch } });
  },
  async read({ ec2 }, id) {
    const live = (await found(ec2.describeSubnets({ SubnetIds: [id] })))?.Subnets?.[0];
    if (live === undefined) return undefined;
    return {
      vpcId: given(live.VpcId, "VpcId"),
      cidrBlock: given(live.CidrBlock, "CidrBlock"),
      availabilityZone: given(live.AvailabilityZone, "AvailabilityZone"),
      tags: tagBag(live.Tags),
    };
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteSubnet({ SubnetId: id }));
  },
});

export const internetGateway = kind<ec2Types.InternetGatewayArgs>({
  title: "EC2 Internet Gateway",
  replaces: [],
  async create({ ec2 }, { tags }) {
    const { InternetGateway } = await ec2.createInternetGateway(tagged("internet-gateway", tags));
    return given(InternetGateway?.InternetGatewayId, "InternetGatewayId");
  },
  async settle({ ec2 }, id, { vpcId }) {
    const { InternetGateways } = await ec2.describeInternetGateways({ InternetGatewayIds: [id] });
    const isAttached = (InternetGateways?.[0]?.Attachments ?? []).length > 0;
    if (vpcId !== undefined && !isAttached) await ec2.attachInternetGateway({ InternetGatewayId: id, VpcId: vpcId });
  },
  async read({ ec2 }, id) {
    const answer = await found(ec2.describeInternetGateways({ InternetGatewayIds: [id] }));
    const live = answer?.InternetGateways?.[0];
    const vpcId = live?.Attachments?.[0]?.VpcId;
    if (live === undefined) return undefined;
    return { ...(vpcId === undefined ? {} : { vpcId }), tags: tagBag(live.Tags) };
  },
  async delete({ ec2 }, id, { vpcId }) {
    if (vpcId !== undefined) await found(ec2.detachInternetGateway({ InternetGatewayId: id, VpcId: vpcId }));
    await found(ec2.deleteInternetGateway({ InternetGatewayId: id }));
  },
});

export const eip = kind<ec2Types.EipArgs>({
  title: "EC2 EIP",
  replaces: ["domain"],
  async create({ ec2 }, { tags }) {
    const { AllocationId } = await ec2.allocateAddress({ Domain: "vpc", ...tagged("elastic-ip", tags) });
    return given(AllocationId, "AllocationId");
  },
  async read({ ec2 }, id) {
    const live = (await found(ec2.describeAddresses({ AllocationIds: [id] })))?.Addresses?.[0];
    if (live === undefined) return undefined;
    return { tags: tagBag(live.Tags), allocationId: id, publicIp: live.PublicIp };
  },
  async delete({ ec2 }, id) {
    await found(ec2.releaseAddress({ AllocationId: id }));
  },
});

export const natGateway = kind<ec2Types.NatGatewayArgs>({
  title: "EC2 NAT Gateway",
  replaces: ["subnetId", "allocationId", "connectivityType"],
  async create({ ec2 }, { subnetId, allocationId, tags }) {
    const { NatGateway } = await ec2.createNatGateway({
      SubnetId: given(subnetId, "subnetId"),
      ...(allocationId === undefined ? {} : { AllocationId: allocationId }),
      ...tagged("natgateway", tags),
    });
    return given(NatGateway?.NatGatewayId, "NatGatewayId");
  },
  async settle({ ec2 }, id) {
    await waitFor(`${id} to be available`, 300, async () => {
      const { NatGateways } = await ec2.describeNatGateways({ NatGatewayIds: [id] });
      return NatGateways?.[0]?.State === "available";
    });
  },
  async read({ ec2 }, id) {
    const live = (await found(ec2.describeNatGateways({ NatGatewayIds: [id] })))?.NatGateways?.[0];
    if (live === undefined || live.State === "deleted" || live.State === "deleting") return undefined;
    return { subnetId: given(live.SubnetId, "SubnetId"), tags: tagBag(live.Tags) };
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteNatGateway({ NatGatewayId: id }));
    await waitFor(`${id} to be deleted`, 300, async () => {
      const state = (await found(ec2.describeNatGateways({ NatGatewayIds: [id] })))?.NatGateways?.[0]?.State;
      return state === undefined || state === "deleted";
    });
  },
});
