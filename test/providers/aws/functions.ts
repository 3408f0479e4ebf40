import type { InstanceStateName } from "@aws-sdk/client-ec2";
import type { Wire } from "../../../provider/values.ts";
import { listAt, textAt } from "../protocol/wire.ts";
import type { Clients } from "./clients.ts";
import { filtersOf, given, tagBag } from "./kind.ts";
import { scalingFunctions } from "./scaling-functions.ts";

/** Functions of `@pulumi/aws`, by their tokens. */
export const functions: Readonly<Record<string, (aws: Clients, args: Wire) => Promise<object>>> = {
  ...scalingFunctions,
  "aws:ssm/getParameter:getParameter": async ({ ssm, region }, args) => {
    const { Parameter } = await ssm.getParameter({ Name: textAt(args, "name"), WithDecryption: true });
    const { Name, Value, Type, Version, ARN } = given(Parameter, "Parameter");
    const value = { value: Value, insecureValue: Value };
    return { id: Name, name: Name, ...value, type: Type, version: Version, arn: ARN, region };
  },
  "aws:ec2/getInstances:getInstances": async ({ ec2, region }, args) => {
    const named = listAt(args, "instanceStateNames") as readonly InstanceStateName[];
    const states = named.length === 0 ? ["running"] : [...named];
    const { Reservations = [] } = await ec2.describeInstances({
      Filters: [...filtersOf(args["filters"], args["instanceTags"]), { Name: "instance-state-name", Values: states }],
    });
    const live = Reservations.flatMap(({ Instances = [] }) => Instances);
    return {
      ...{ id: region, region, publicIps: [], ipv6Addresses: [] },
      ids: live.map(({ InstanceId }) => InstanceId),
      privateIps: live.map(({ PrivateIpAddress }) => PrivateIpAddress ?? ""),
    };
  },
  "aws:ec2/getInstance:getInstance": async ({ ec2, region }, args) => {
    const id = textAt(args, "instanceId");
    const { Reservations = [] } = await ec2.describeInstances({
      ...(id === "" ? {} : { InstanceIds: [id] }),
      Filters: filtersOf(args["filters"], args["instanceTags"]),
    });
    const live = one(
      Reservations.flatMap(({ Instances = [] }) => Instances),
      "EC2 Instance",
    );
    return {
      ...{ id: live.InstanceId, instanceId: live.InstanceId, region, tags: tagBag(live.Tags) },
      ...{ instanceState: live.State?.Name, availabilityZone: live.Placement?.AvailabilityZone, ami: live.ImageId },
      ...{ instanceType: live.InstanceType, privateIp: live.PrivateIpAddress, subnetId: live.SubnetId },
    };
  },
  "aws:ebs/getEbsVolumes:getEbsVolumes": async ({ ec2, region }, args) => {
    const { Volumes = [] } = await ec2.describeVolumes({ Filters: filtersOf(args["filters"], args["tags"]) });
    return { id: region, region, ids: Volumes.map(({ VolumeId }) => VolumeId) };
  },
  "aws:ebs/getVolume:getVolume": async ({ ec2, region }, args) => {
    const { Volumes = [] } = await ec2.describeVolumes({ Filters: filtersOf(args["filters"], args["tags"]) });
    const live = one(Volumes, "EC2 EBS Volume");
    return {
      ...{ id: live.VolumeId, volumeId: live.VolumeId, region, tags: tagBag(live.Tags), encrypted: live.Encrypted },
      ...{ availabilityZone: live.AvailabilityZone, size: live.Size, volumeType: live.VolumeType, iops: live.Iops },
      ...{ throughput: live.Throughput, snapshotId: live.SnapshotId, kmsKeyId: live.KmsKeyId },
    };
  },
  "aws:ec2/getVpc:getVpc": async ({ ec2, region }, args) => {
    const [id, isDefault] = [textAt(args, "id"), args["default"] === true];
    const { Vpcs = [] } = await ec2.describeVpcs({
      ...(id === "" ? {} : { VpcIds: [id] }),
      Filters: [
        ...filtersOf(args["filters"], args["tags"]),
        ...(isDefault ? [{ Name: "is-default", Values: ["true"] }] : []),
      ],
    });
    const live = one(Vpcs, "EC2 VPC");
    return { id: live.VpcId, region, cidrBlock: live.CidrBlock, default: live.IsDefault, tags: tagBag(live.Tags) };
  },
  "aws:ec2/getSubnets:getSubnets": async ({ ec2, region }, args) => {
    const { Subnets = [] } = await ec2.describeSubnets({ Filters: filtersOf(args["filters"], args["tags"]) });
    return { id: region, region, ids: Subnets.map(({ SubnetId }) => SubnetId) };
  },
  "aws:ec2/getSubnet:getSubnet": async ({ ec2, region }, args) => {
    const [id, vpcId, zone] = [textAt(args, "id"), textAt(args, "vpcId"), textAt(args, "availabilityZone")];
    const { Subnets = [] } = await ec2.describeSubnets({
      ...(id === "" ? {} : { SubnetIds: [id] }),
      Filters: [
        ...filtersOf(args["filters"], args["tags"]),
        ...(vpcId === "" ? [] : [{ Name: "vpc-id", Values: [vpcId] }]),
        ...(zone === "" ? [] : [{ Name: "availability-zone", Values: [zone] }]),
        ...(args["defaultForAz"] === true ? [{ Name: "default-for-az", Values: ["true"] }] : []),
      ],
    });
    const live = one(Subnets, "EC2 Subnet");
    return { id: live.SubnetId, region, vpcId: live.VpcId, availabilityZone: live.AvailabilityZone };
  },
  "aws:index/getCallerIdentity:getCallerIdentity": async ({ sts }) => {
    const { Account, Arn, UserId } = await sts.getCallerIdentity({});
    return { id: Account, accountId: Account, arn: Arn, userId: UserId };
  },
};

/** The one that was found. Throws Error in the provider's words if there is none, or more. */
function one<T>(found: readonly T[], title: string): T {
  const [first, ...others] = found;
  if (first === undefined) throw new Error(`no matching ${title} found`);
  if (others.length > 0) throw new Error(`multiple ${title}s matched; use additional constraints to reduce matches`);
  return first;
}
