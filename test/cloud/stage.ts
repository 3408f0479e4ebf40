import { openStage, type Stage } from "../faults/stage.ts";
import { useStandIn } from "../providers/use.ts";
import { type Cloud, openCloud } from "./cloud.ts";

/** The stage of the fault tests with an account of AWS for a target: the tiny model, and a machine that `up` makes. */
export interface CloudStage extends Stage {
  readonly cloud: Cloud;
}

/** Values below `tuneup:aws` of its experiments. */
export const aws = {
  region: "us-east-1",
  zone: "us-east-1a",
  // The tiny model's shape is bundled nowhere: without these its machine and disk can't be told.
  instanceTypes: ["g4dn.xlarge"],
  volume: { sizeGiB: 20 },
  lease: { hours: 4 },
};

/** Opens one with nothing in the account. `variables`: more of them for the user's programs. */
export async function openCloudStage(
  variables: (cloud: Cloud) => Readonly<Record<string, string>> = () => ({}),
): Promise<CloudStage> {
  const cloud = await openCloud({ TUNEUP_RUN_BACKOFF_MS: "100" });
  try {
    const stage = await openStage({
      data: cloud.disks.data,
      environment: { ...cloud.environment, TUNEUP_SSH_ALIVE_S: "1", TUNEUP_AWS_POLL_MS: "200", ...variables(cloud) },
      config: { target: "aws", aws },
    });
    await useStandIn(stage.folder, "aws");
    return {
      ...stage,
      cloud,
      remove: async () => {
        await stage.stop();
        await cloud.remove();
        await stage.remove();
      },
    };
  } catch (thrown) {
    await cloud.remove();
    throw thrown;
  }
}

/** What an account is billed for, and the networks that are not AWS's own default. Root disks go with their machines. */
export async function left(cloud: Cloud) {
  const { ec2, scheduler } = cloud;
  const { Volumes = [] } = await ec2.describeVolumes({});
  const { NatGateways = [] } = await ec2.describeNatGateways({});
  const { Addresses = [] } = await ec2.describeAddresses({});
  const { VpcEndpoints = [] } = await ec2.describeVpcEndpoints({});
  const { Vpcs = [] } = await ec2.describeVpcs({});
  const { Schedules = [] } = await scheduler.listSchedules({});
  return {
    instances: (await cloud.alive()).map(({ InstanceId }) => InstanceId),
    volumes: Volumes,
    gateways: NatGateways.filter(({ State }) => State !== "deleted").map(({ NatGatewayId }) => NatGatewayId),
    addresses: Addresses.map(({ AllocationId }) => AllocationId),
    endpoints: VpcEndpoints.filter(({ State }) => !/delet/i.test(String(State))).map((one) => one.VpcEndpointId),
    networks: Vpcs.filter(({ IsDefault }) => IsDefault !== true).map(({ VpcId }) => VpcId),
    schedules: Schedules.map(({ Name }) => Name),
  };
}
