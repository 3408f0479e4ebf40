import type { Wire } from "../../../provider/values.ts";
import { textAt } from "../protocol/wire.ts";
import type { Clients } from "./clients.ts";
import { filtersOf, tagBag } from "./kind.ts";

/** Functions of `@pulumi/aws` that a group of spot capacity and its bucket are looked up by, by their tokens. */
export const scalingFunctions: Readonly<Record<string, (aws: Clients, args: Wire) => Promise<object>>> = {
  // Its name in the SDK is a mistake of old: it gives names and ARNs of groups.
  "aws:autoscaling/getAmiIds:getAmiIds": async ({ scaling, region }, args) => {
    const { AutoScalingGroups = [] } = await scaling.describeAutoScalingGroups({
      Filters: filtersOf(args["filters"], undefined),
    });
    return {
      ...{ id: region, region },
      names: AutoScalingGroups.map((one) => one.AutoScalingGroupName ?? "").toSorted(),
      arns: AutoScalingGroups.map((one) => one.AutoScalingGroupARN ?? "").toSorted(),
    };
  },
  "aws:autoscaling/getGroup:getGroup": async ({ scaling, region }, args) => {
    const name = textAt(args, "name");
    const { AutoScalingGroups = [] } = await scaling.describeAutoScalingGroups({ AutoScalingGroupNames: [name] });
    const [live] = AutoScalingGroups;
    if (live === undefined) throw new Error("couldn't find resource");
    const distribution = live.MixedInstancesPolicy?.InstancesDistribution;
    return {
      ...{ id: name, name, region, arn: live.AutoScalingGroupARN },
      ...{ minSize: live.MinSize, maxSize: live.MaxSize, desiredCapacity: live.DesiredCapacity },
      tags: (live.Tags ?? []).map(({ Key, Value, PropagateAtLaunch }) => ({
        ...{ key: Key, value: Value, propagateAtLaunch: PropagateAtLaunch },
      })),
      mixedInstancesPolicies:
        distribution === undefined
          ? []
          : [{ instancesDistributions: [{ onDemandBaseCapacity: distribution.OnDemandBaseCapacity }] }],
    };
  },
  "aws:ec2/getAmi:getAmi": async ({ ec2, region }, args) => {
    const { Images = [] } = await ec2.describeImages({
      Filters: filtersOf(args["filters"], undefined),
      IncludeDeprecated: args["includeDeprecated"] === true,
    });
    const [live, ...others] = Images;
    if (live === undefined) throw new Error("Your query returned no results.");
    if (others.length > 0) throw new Error("Your query returned more than one result.");
    return {
      ...{ id: live.ImageId, imageId: live.ImageId, region, rootDeviceName: live.RootDeviceName },
      // Its bags are text all through, by AWS's names in lower case.
      blockDeviceMappings: (live.BlockDeviceMappings ?? []).map(({ DeviceName, Ebs }) => ({
        deviceName: DeviceName,
        ebs: { volume_size: String(Ebs?.VolumeSize ?? 0), volume_type: Ebs?.VolumeType ?? "" },
      })),
    };
  },
  "aws:index/getAvailabilityZones:getAvailabilityZones": async ({ ec2, region }, args) => {
    const { AvailabilityZones = [] } = await ec2.describeAvailabilityZones({
      Filters: filtersOf(args["filters"], undefined),
    });
    return { id: region, region, names: AvailabilityZones.map(({ ZoneName = "" }) => ZoneName).toSorted() };
  },
  "aws:resourcegroupstaggingapi/getResources:getResources": async ({ tagging, region }, args) => {
    const asked = (args["tagFilters"] ?? []) as readonly { readonly key: string; readonly values?: string[] }[];
    const { ResourceTagMappingList = [] } = await tagging.getResources({
      TagFilters: asked.map(({ key, values = [] }) => ({ Key: key, Values: values })),
      ResourceTypeFilters: (args["resourceTypeFilters"] ?? []) as string[],
    });
    return {
      ...{ id: region, region },
      resourceTagMappingLists: ResourceTagMappingList.map(({ ResourceARN, Tags }) => ({
        resourceArn: ResourceARN,
        tags: tagBag(Tags),
        complianceDetails: [],
      })),
    };
  },
};
