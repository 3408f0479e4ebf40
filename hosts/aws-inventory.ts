import type * as Ec2 from "@aws-sdk/client-ec2";
import { type Found, idOf, kindOf } from "../recipe/aws/audit.ts";
import { projectTag, tagNames, type Tags } from "../recipe/aws/tags.ts";
import { awsFault } from "./aws-faults.ts";

type Facts = Omit<Found, "arn" | "tags">;

/** What EC2 knows of its resources of ours, by their ids; what is deleted is not among them, though its tags are told for an hour. */
type Known = ReadonlyMap<string, ReadonlyMap<string, Facts>>;

/**
 * Everything in a region that has the tag `tuneup:project=tuneup` and is still there. Throws the Faults of aws-faults.ts. Roles, their policies and
 * schedules have no tags that can be looked for, and cost nothing.
 */
export async function inventory(region: string): Promise<Found[]> {
  const [tagged, known] = await Promise.all([taggedIn(region), knownTo(region)]);
  return tagged.flatMap(({ arn, tags }) => {
    const ofKind = known.get(kindOf(arn));
    if (ofKind === undefined) return [{ arn, tags }];
    const facts = ofKind.get(idOf(arn));
    return facts === undefined ? [] : [{ arn, tags, ...facts }];
  });
}

async function taggedIn(region: string): Promise<{ readonly arn: string; readonly tags: Tags }[]> {
  try {
    const sdk = await import("@aws-sdk/client-resource-groups-tagging-api");
    const client = new sdk.ResourceGroupsTaggingAPIClient({ region });
    const TagFilters = [{ Key: tagNames.project, Values: [projectTag] }];
    const found: { arn: string; tags: Tags }[] = [];
    for await (const page of sdk.paginateGetResources({ client }, { TagFilters })) {
      for (const { ResourceARN: arn = "", Tags: tags = [] } of page.ResourceTagMappingList ?? []) {
        found.push({ arn, tags: Object.fromEntries(tags.map(({ Key = "", Value = "" }) => [Key, Value])) });
      }
    }
    return found;
  } catch (thrown) {
    throw awsFault(thrown, { action: "tag:GetResources", region });
  }
}

type Sdk = typeof Ec2;
type Look = (sdk: Sdk, client: Ec2.EC2Client) => Promise<(readonly [string | undefined, Facts])[]>;

const Filters = [{ Name: `tag:${tagNames.project}`, Values: [projectTag] }];

/** How each kind is looked at; each list is of one account's region, and of ours alone. */
const looks: Readonly<Record<string, { readonly action: string; readonly look: Look }>> = {
  "ec2 instance": {
    action: "ec2:DescribeInstances",
    look: async (sdk, client) => {
      const { Reservations = [] } = await client.send(new sdk.DescribeInstancesCommand({ Filters }));
      const machines = Reservations.flatMap(({ Instances = [] }) => Instances);
      return machines
        .filter(({ State }) => !/terminated|shutting-down/.test(State?.Name ?? ""))
        .map(({ InstanceId, InstanceType, State, Tags = [] }) => {
          const isOn = State?.Name === "running" || State?.Name === "pending";
          const group = Tags.find(({ Key }) => Key === tagNames.group)?.Value;
          return [InstanceId, { group, ...(isOn ? { instanceType: InstanceType } : {}) }] as const;
        });
    },
  },
  "ec2 volume": {
    action: "ec2:DescribeVolumes",
    look: async (sdk, client) => {
      const { Volumes = [] } = await client.send(new sdk.DescribeVolumesCommand({ Filters }));
      return Volumes.filter(({ State }) => !/^delet/.test(State ?? "")).map(
        ({ VolumeId, Size, VolumeType }) => [VolumeId, { sizeGiB: Size, volumeType: VolumeType }] as const,
      );
    },
  },
  "ec2 natgateway": {
    action: "ec2:DescribeNatGateways",
    look: async (sdk, client) => {
      const { NatGateways = [] } = await client.send(new sdk.DescribeNatGatewaysCommand({ Filter: Filters }));
      return NatGateways.filter(({ State }) => !/^delet|failed/.test(State ?? "")).map(
        ({ NatGatewayId }) => [NatGatewayId, {}] as const,
      );
    },
  },
  "ec2 vpc-endpoint": {
    action: "ec2:DescribeVpcEndpoints",
    look: async (sdk, client) => {
      const { VpcEndpoints = [] } = await client.send(new sdk.DescribeVpcEndpointsCommand({ Filters }));
      return VpcEndpoints.filter(({ State }) => !/^delet/i.test(State ?? "")).map(
        ({ VpcEndpointId, VpcEndpointType, SubnetIds = [] }) =>
          [VpcEndpointId, VpcEndpointType === "Interface" ? { zones: SubnetIds.length } : {}] as const,
      );
    },
  },
};

async function knownTo(region: string): Promise<Known> {
  const sdk = await import("@aws-sdk/client-ec2");
  const client = new sdk.EC2Client({ region });
  const lists = await Promise.all(
    Object.entries(looks).map(async ([kind, { action, look }]) => {
      try {
        const found = await look(sdk, client);
        return [kind, new Map(found.map(([id = "", facts]) => [id, facts]))] as const;
      } catch (thrown) {
        throw awsFault(thrown, { action, region });
      }
    }),
  );
  return new Map(lists);
}
