import type {
  RequestLaunchTemplateData,
  ResourceType,
  ShutdownBehavior,
  VolumeType,
  _InstanceType as InstanceType,
} from "@aws-sdk/client-ec2";
import type * as ec2Types from "@pulumi/aws/ec2/index.js";
import type { Unwrap } from "@pulumi/pulumi";
import { type Clients, found } from "../clients.ts";
import { given, kind, tagBag, tagged, tagList } from "../kind.ts";

type Inputs = Unwrap<ec2Types.LaunchTemplateArgs>;

/** What is no input of its own in EC2: the template's name and versions. */
const beside: readonly string[] = [
  "name",
  "namePrefix",
  "tags",
  "updateDefaultVersion",
  "defaultVersion",
  "description",
];

async function templateOf({ ec2 }: Clients, id: string) {
  return (await found(ec2.describeLaunchTemplates({ LaunchTemplateIds: [id] })))?.LaunchTemplates?.[0];
}

/** A switch, which the official provider has as text. */
function isOn(text: string | undefined): boolean | undefined {
  return text === undefined || text === "" ? undefined : text === "true";
}

function dataOf(inputs: Inputs): RequestLaunchTemplateData {
  const { imageId, userData, metadataOptions: metadata, iamInstanceProfile: profile } = inputs;
  return {
    ...(imageId === undefined ? {} : { ImageId: imageId }),
    ...(inputs.instanceType === undefined ? {} : { InstanceType: inputs.instanceType as InstanceType }),
    ...(userData === undefined ? {} : { UserData: userData }),
    ...(profile === undefined ? {} : { IamInstanceProfile: { Name: profile.name, Arn: profile.arn } }),
    ...(inputs.instanceInitiatedShutdownBehavior === undefined
      ? {}
      : { InstanceInitiatedShutdownBehavior: inputs.instanceInitiatedShutdownBehavior as ShutdownBehavior }),
    MetadataOptions: {
      HttpEndpoint: metadata?.httpEndpoint === "disabled" ? "disabled" : "enabled",
      HttpTokens: metadata?.httpTokens === "required" ? "required" : "optional",
      HttpPutResponseHopLimit: metadata?.httpPutResponseHopLimit ?? 1,
    },
    ...devicesOf(inputs),
    TagSpecifications: (inputs.tagSpecifications ?? []).map(({ resourceType, tags }) => ({
      ResourceType: resourceType as ResourceType,
      Tags: tagList(tags),
    })),
  };
}

function devicesOf({ blockDeviceMappings = [], networkInterfaces = [] }: Inputs): RequestLaunchTemplateData {
  return {
    NetworkInterfaces: networkInterfaces.map((one) => ({
      DeviceIndex: one.deviceIndex,
      AssociatePublicIpAddress: isOn(one.associatePublicIpAddress),
      Groups: one.securityGroups,
    })),
    BlockDeviceMappings: blockDeviceMappings.map(({ deviceName, ebs }) => ({
      DeviceName: deviceName,
      Ebs: {
        VolumeType: ebs?.volumeType as VolumeType,
        VolumeSize: ebs?.volumeSize,
        Encrypted: isOn(ebs?.encrypted),
        DeleteOnTermination: isOn(ebs?.deleteOnTermination),
      },
    })),
  };
}

export const launchTemplate = kind<ec2Types.LaunchTemplateArgs>({
  title: "EC2 Launch Template",
  replaces: ["name", "namePrefix"],
  named: true,
  async create({ ec2 }, inputs) {
    const { LaunchTemplate } = await ec2.createLaunchTemplate({
      LaunchTemplateName: given(inputs.name, "name"),
      LaunchTemplateData: dataOf(inputs),
      ...tagged("launch-template", inputs.tags),
    });
    return given(LaunchTemplate?.LaunchTemplateId, "LaunchTemplateId");
  },
  async read(aws, id) {
    const live = await templateOf(aws, id);
    if (live === undefined) return undefined;
    // The emulator tells of a template those tags that it was made with.
    const { Tags } = await aws.ec2.describeTags({ Filters: [{ Name: "resource-id", Values: [id] }] });
    return {
      name: given(live.LaunchTemplateName, "LaunchTemplateName"),
      latestVersion: given(live.LatestVersionNumber, "LatestVersionNumber"),
      defaultVersion: given(live.DefaultVersionNumber, "DefaultVersionNumber"),
      tags: tagBag(Tags),
      arn: `arn:aws:ec2:${aws.region}::launch-template/${id}`,
    };
  },
  async update({ ec2 }, id, { inputs, changed }) {
    if (changed.every((key) => beside.includes(key))) return;
    const { LaunchTemplateVersion } = await ec2.createLaunchTemplateVersion({
      LaunchTemplateId: id,
      LaunchTemplateData: dataOf(inputs),
    });
    const version = given(LaunchTemplateVersion?.VersionNumber, "VersionNumber");
    if (inputs.updateDefaultVersion === true)
      await ec2.modifyLaunchTemplate({ LaunchTemplateId: id, DefaultVersion: String(version) });
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteLaunchTemplate({ LaunchTemplateId: id }));
  },
});
