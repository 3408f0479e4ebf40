import type { MixedInstancesPolicy, Tag } from "@aws-sdk/client-auto-scaling";
import type * as scalingTypes from "@pulumi/aws/autoscaling/index.js";
import type { Unwrap } from "@pulumi/pulumi";
import type { Clients } from "../clients.ts";
import { given, kind, waitFor } from "../kind.ts";

type Inputs = Unwrap<scalingTypes.GroupArgs>;

/** A group as AWS has it; undefined where there is none. */
export async function scalingGroup({ scaling }: Clients, name: string) {
  return (await scaling.describeAutoScalingGroups({ AutoScalingGroupNames: [name] })).AutoScalingGroups?.[0];
}

function policyOf({ mixedInstancesPolicy: policy }: Inputs): { MixedInstancesPolicy?: MixedInstancesPolicy } {
  if (policy === undefined) return {};
  const { instancesDistribution: asked, launchTemplate } = policy;
  const { launchTemplateSpecification: template, overrides = [] } = launchTemplate;
  return {
    MixedInstancesPolicy: {
      InstancesDistribution: {
        OnDemandBaseCapacity: asked?.onDemandBaseCapacity,
        OnDemandPercentageAboveBaseCapacity: asked?.onDemandPercentageAboveBaseCapacity,
        SpotAllocationStrategy: asked?.spotAllocationStrategy,
      },
      LaunchTemplate: {
        LaunchTemplateSpecification: { LaunchTemplateId: template.launchTemplateId, Version: template.version },
        Overrides: overrides.map(({ instanceType }) => ({ InstanceType: instanceType })),
      },
    },
  };
}

function requestOf(inputs: Inputs) {
  return {
    AutoScalingGroupName: given(inputs.name, "name"),
    ...{ MinSize: inputs.minSize, MaxSize: inputs.maxSize, DesiredCapacity: inputs.desiredCapacity },
    ...{ CapacityRebalance: inputs.capacityRebalance, HealthCheckType: inputs.healthCheckType },
    ...(inputs.availabilityZones === undefined ? {} : { AvailabilityZones: inputs.availabilityZones }),
    ...(inputs.vpcZoneIdentifiers === undefined ? {} : { VPCZoneIdentifier: inputs.vpcZoneIdentifiers.join(",") }),
    ...policyOf(inputs),
  };
}

function tagsOf({ name, tags = [] }: Inputs): Tag[] {
  return tags.map(({ key, value, propagateAtLaunch }) => ({
    ...{ Key: key, Value: value, PropagateAtLaunch: propagateAtLaunch },
    ...{ ResourceId: name, ResourceType: "auto-scaling-group" },
  }));
}

/** Seconds of a time such as `15m`. */
function secondsOf(text: string | undefined): number {
  const [, figure = "10", unit = "m"] = /^(\d+)(s|m|h)$/.exec(text ?? "10m") ?? [];
  return Number(figure) * { s: 1, m: 60, h: 3600 }[unit as "s" | "m" | "h"];
}

async function untilSize(aws: Clients, name: string, seconds: number, size: number): Promise<void> {
  await waitFor(`Auto Scaling Group (${name}) capacity satisfied`, seconds, async () => {
    const { Instances = [] } = (await scalingGroup(aws, name)) ?? {};
    return Instances.filter(({ LifecycleState }) => LifecycleState === "InService").length === size;
  });
}

async function retagGroup({ scaling }: Clients, inputs: Inputs, olds: Inputs): Promise<void> {
  const gone = tagsOf(olds).filter(({ Key }) => !tagsOf(inputs).some((one) => one.Key === Key));
  if (gone.length > 0) await scaling.deleteTags({ Tags: gone });
  await scaling.createOrUpdateTags({ Tags: tagsOf(inputs) });
}

export const group = kind<scalingTypes.GroupArgs>({
  title: "Auto Scaling Group",
  replaces: ["name", "namePrefix"],
  named: true,
  async create({ scaling }, inputs) {
    await scaling.createAutoScalingGroup({ ...requestOf(inputs), Tags: tagsOf(inputs) });
    return given(inputs.name, "name");
  },
  async settle(aws, id, { desiredCapacity = 0, waitForCapacityTimeout }) {
    await untilSize(aws, id, secondsOf(waitForCapacityTimeout), desiredCapacity);
  },
  async read(aws, id) {
    const live = await scalingGroup(aws, id);
    if (live === undefined) return undefined;
    return {
      name: id,
      minSize: given(live.MinSize, "MinSize"),
      maxSize: given(live.MaxSize, "MaxSize"),
      desiredCapacity: given(live.DesiredCapacity, "DesiredCapacity"),
      arn: live.AutoScalingGroupARN,
    };
  },
  async update(aws, id, { inputs, olds, changed }) {
    await aws.scaling.updateAutoScalingGroup(requestOf(inputs));
    if (changed.includes("tags")) await retagGroup(aws, inputs, olds);
    if (inputs.instanceRefresh === undefined || !changed.includes("mixedInstancesPolicy")) return;
    const MinHealthyPercentage = inputs.instanceRefresh.preferences?.minHealthyPercentage ?? 90;
    await aws.scaling.startInstanceRefresh({
      ...{ AutoScalingGroupName: id, Strategy: "Rolling", Preferences: { MinHealthyPercentage } },
    });
  },
  async delete(aws, id) {
    if ((await scalingGroup(aws, id)) === undefined) return;
    // As the official provider: the machines first, so that none is left that no group ends.
    await aws.scaling.updateAutoScalingGroup({
      ...{ AutoScalingGroupName: id, MinSize: 0, MaxSize: 0, DesiredCapacity: 0 },
    });
    await waitFor(`Auto Scaling Group (${id}) drained`, 600, async () => {
      return ((await scalingGroup(aws, id))?.Instances ?? []).length === 0;
    });
    await aws.scaling.deleteAutoScalingGroup({ AutoScalingGroupName: id, ForceDelete: false });
    await waitFor(`Auto Scaling Group (${id}) deleted`, 600, async () => (await scalingGroup(aws, id)) === undefined);
  },
});
