import type {
  _InstanceType as InstanceType,
  Instance,
  RunInstancesCommandInput,
  VolumeType,
} from "@aws-sdk/client-ec2";
import type * as ebsTypes from "@pulumi/aws/ebs/index.js";
import type * as ec2Types from "@pulumi/aws/ec2/index.js";
import type { Unwrap } from "@pulumi/pulumi";
import { type Clients, found } from "../clients.ts";
import { given, kind, tagBag, tagged, tagList, waitFor } from "../kind.ts";

type InstanceInputs = Unwrap<ec2Types.InstanceArgs>;

async function instanceOf({ ec2 }: Clients, id: string) {
  return (await found(ec2.describeInstances({ InstanceIds: [id] })))?.Reservations?.[0]?.Instances?.[0];
}

async function runRequest({ ec2 }: Clients, inputs: InstanceInputs): Promise<RunInstancesCommandInput> {
  const { ami, iamInstanceProfile: profile, metadataOptions: metadata, rootBlockDevice: root, tags } = inputs;
  const { Images } = await ec2.describeImages({ ImageIds: [given(ami, "ami")] });
  const device = given(Images?.[0]?.RootDeviceName, "RootDeviceName");
  return {
    ...{ MinCount: 1, MaxCount: 1, ImageId: ami },
    TagSpecifications: [tagged("instance", tags), tagged("volume", root?.tags)].flatMap(
      ({ TagSpecifications: specified = [] }) => specified,
    ),
    InstanceType: inputs.instanceType as InstanceType,
    ...(inputs.availabilityZone === undefined ? {} : { Placement: { AvailabilityZone: inputs.availabilityZone } }),
    ...(typeof profile === "string" ? { IamInstanceProfile: { Name: profile } } : {}),
    ...(inputs.userData === undefined ? {} : { UserData: Buffer.from(inputs.userData).toString("base64") }),
    ...(inputs.userDataBase64 === undefined ? {} : { UserData: inputs.userDataBase64 }),
    InstanceInitiatedShutdownBehavior: inputs.instanceInitiatedShutdownBehavior === "terminate" ? "terminate" : "stop",
    MetadataOptions: {
      HttpTokens: metadata?.httpTokens === "required" ? "required" : "optional",
      HttpPutResponseHopLimit: metadata?.httpPutResponseHopLimit ?? 1,
    },
    BlockDeviceMappings: [
      {
        DeviceName: device,
        Ebs: {
          VolumeType: (root?.volumeType ?? "gp3") as VolumeType,
          Encrypted: root?.encrypted ?? false,
          DeleteOnTermination: root?.deleteOnTermination ?? true,
          // EC2 takes the image's own size by itself; the emulator wants it said.
          VolumeSize: root?.volumeSize ?? Images?.[0]?.BlockDeviceMappings?.[0]?.Ebs?.VolumeSize ?? 8,
        },
      },
    ],
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        ...(inputs.subnetId === undefined ? {} : { SubnetId: inputs.subnetId }),
        ...(inputs.vpcSecurityGroupIds === undefined ? {} : { Groups: inputs.vpcSecurityGroupIds }),
        AssociatePublicIpAddress: inputs.associatePublicIpAddress ?? false,
      },
    ],
  };
}

export const instance = kind<ec2Types.InstanceArgs>({
  title: "EC2 Instance",
  replaces: [
    ...(["ami", "availabilityZone", "subnetId", "associatePublicIpAddress", "keyName", "privateIp"] as const),
    ...(["tenancy", "userDataBase64", "instanceMarketOptions"] as const),
  ],
  alsoReplaces: ({ userDataReplaceOnChange }) => (userDataReplaceOnChange === true ? ["userData"] : []),
  computed: ["availabilityZone", "privateIp", "tenancy"],
  async create(aws, inputs) {
    const { Instances } = await aws.ec2.runInstances(await runRequest(aws, inputs));
    return given(Instances?.[0]?.InstanceId, "InstanceId");
  },
  async settle(aws, id) {
    await waitFor(`${id} to run`, 600, async () => {
      const state = (await instanceOf(aws, id))?.State?.Name;
      if (state === "running") return true;
      if (state === "pending" || state === "stopped") return false;
      throw new Error(`unexpected state '${state ?? "gone"}', wanted target 'running'`);
    });
  },
  async read(aws, id) {
    const live = await instanceOf(aws, id);
    const state = live?.State?.Name;
    if (live === undefined || state === "terminated" || state === "shutting-down") return undefined;
    return {
      instanceType: given(live.InstanceType, "InstanceType"),
      ami: given(live.ImageId, "ImageId"),
      tags: tagBag(live.Tags),
      instanceState: state,
      rootBlockDevice: { volumeId: rootOf(live) },
      privateIp: live.PrivateIpAddress ?? "",
    };
  },
  async update(aws, id, { inputs, changed }) {
    // What the official provider does: both are changed while the machine is stopped.
    const stopping = ["instanceType", "userData"];
    const others = changed.filter((key) => !stopping.includes(key) && key !== "rootBlockDevice");
    if (others.length > 0) throw new Error(`the stand-in changes no ${others.join(", ")} of a machine in place`);
    if (changed.includes("rootBlockDevice")) await retagRoot(aws, id, inputs);
    if (!changed.some((key) => stopping.includes(key))) return;
    await aws.ec2.stopInstances({ InstanceIds: [id] });
    await waitFor(`${id} to stop`, 600, async () => (await instanceOf(aws, id))?.State?.Name === "stopped");
    if (changed.includes("instanceType"))
      await aws.ec2.modifyInstanceAttribute({ InstanceId: id, InstanceType: { Value: inputs.instanceType } });
    if (changed.includes("userData"))
      await aws.ec2.modifyInstanceAttribute({
        InstanceId: id,
        UserData: { Value: Buffer.from(inputs.userData ?? "") },
      });
    await aws.ec2.startInstances({ InstanceIds: [id] });
  },
  async delete(aws, id) {
    await found(aws.ec2.terminateInstances({ InstanceIds: [id] }));
    await waitFor(`${id} to be terminated`, 600, async () => {
      const state = (await instanceOf(aws, id))?.State?.Name;
      return state === undefined || state === "terminated";
    });
  },
});

function rootOf({ BlockDeviceMappings = [], RootDeviceName }: Instance): string | undefined {
  return BlockDeviceMappings.find(({ DeviceName }) => DeviceName === RootDeviceName)?.Ebs?.VolumeId;
}

/** Of a root disk only the tags change here: of the rest, some would be modified and some make another machine. */
async function retagRoot(aws: Clients, id: string, { rootBlockDevice: root }: InstanceInputs): Promise<void> {
  const live = await instanceOf(aws, id);
  const disk = live === undefined ? undefined : rootOf(live);
  if (disk !== undefined) await aws.ec2.createTags({ Resources: [disk], Tags: tagList(root?.tags) });
}

async function volumeOf({ ec2 }: Clients, id: string) {
  return (await found(ec2.describeVolumes({ VolumeIds: [id] })))?.Volumes?.[0];
}

export const volume = kind<ebsTypes.VolumeArgs>({
  title: "EBS Volume",
  replaces: ["availabilityZone", "encrypted", "kmsKeyId", "snapshotId"],
  computed: ["size", "type", "iops", "throughput", "kmsKeyId", "snapshotId", "encrypted"],
  async create({ ec2 }, inputs) {
    const { VolumeId } = await ec2.createVolume({
      AvailabilityZone: inputs.availabilityZone,
      ...(inputs.size === undefined ? {} : { Size: inputs.size }),
      ...(inputs.encrypted === undefined ? {} : { Encrypted: inputs.encrypted }),
      ...(inputs.type === undefined ? {} : { VolumeType: inputs.type as VolumeType }),
      ...(inputs.iops === undefined ? {} : { Iops: inputs.iops }),
      ...(inputs.throughput === undefined ? {} : { Throughput: inputs.throughput }),
      ...(inputs.kmsKeyId === undefined ? {} : { KmsKeyId: inputs.kmsKeyId }),
      ...tagged("volume", inputs.tags),
    });
    return given(VolumeId, "VolumeId");
  },
  async settle(aws, id) {
    await waitFor(`${id} to be available`, 300, async () => {
      const state = (await volumeOf(aws, id))?.State;
      return state === "available" || state === "in-use";
    });
  },
  async read(aws, id) {
    const live = await volumeOf(aws, id);
    if (live === undefined) return undefined;
    return {
      availabilityZone: given(live.AvailabilityZone, "AvailabilityZone"),
      size: given(live.Size, "Size"),
      encrypted: live.Encrypted ?? false,
      type: given(live.VolumeType, "VolumeType"),
      tags: tagBag(live.Tags),
      arn: `arn:aws:ec2:${aws.region}::volume/${id}`,
    };
  },
  async update({ ec2 }, id, { inputs }) {
    await ec2.modifyVolume({
      VolumeId: id,
      ...(inputs.size === undefined ? {} : { Size: inputs.size }),
      ...(inputs.type === undefined ? {} : { VolumeType: inputs.type as VolumeType }),
      ...(inputs.iops === undefined ? {} : { Iops: inputs.iops }),
      ...(inputs.throughput === undefined ? {} : { Throughput: inputs.throughput }),
    });
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteVolume({ VolumeId: id }));
  },
});

export const volumeAttachment = kind<ec2Types.VolumeAttachmentArgs>({
  title: "EBS Volume Attachment",
  replaces: ["deviceName", "instanceId", "volumeId"],
  async create({ ec2 }, { deviceName, instanceId, volumeId }) {
    await ec2.attachVolume({ Device: deviceName, InstanceId: instanceId, VolumeId: volumeId });
    return `vai-${volumeId.replace("vol-", "")}${instanceId.replace("i-", "")}`;
  },
  async read(aws, _id, { instanceId, volumeId }) {
    const attached = (await volumeOf(aws, volumeId))?.Attachments ?? [];
    return attached.some((one) => one.InstanceId === instanceId) ? { instanceId, volumeId } : undefined;
  },
  async delete(aws, _id, { instanceId, volumeId, skipDestroy }) {
    if (skipDestroy === true) return;
    const attached = (await volumeOf(aws, volumeId))?.Attachments ?? [];
    if (!attached.some((one) => one.InstanceId === instanceId)) return;
    await found(aws.ec2.detachVolume({ InstanceId: instanceId, VolumeId: volumeId }));
    await waitFor(`${volumeId} to be detached`, 300, async () => (await volumeOf(aws, volumeId))?.State !== "in-use");
  },
});
