import type * as Ec2 from "@aws-sdk/client-ec2";
import { ownTags, tagNames, type Tags } from "../recipe/aws/tags.ts";
import { awsFault } from "./aws-faults.ts";

/** A machine as EC2 tells of it. */
export interface Ec2Machine {
  readonly id: string;
  readonly state: "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped";
  readonly zone: string | undefined;
  readonly type: string;
  readonly startedAt: Date;
  /** Why it is in this state, in EC2's words. */
  readonly reason: string | undefined;
  /** When it ended, where EC2 says so. */
  readonly endedAt: Date | undefined;
  /** Tag `tuneup:expiry`. */
  readonly expiry: string | undefined;
  /** The Auto Scaling group that started it; undefined where none did. */
  readonly group: string | undefined;
}

/** A data volume as EC2 tells of it. */
export interface Ec2Volume {
  readonly id: string;
  readonly state: string;
  readonly sizeGiB: number;
  /** Such as gp3. */
  readonly type: string;
  /** The machine that has it; undefined where none does. */
  readonly machine: string | undefined;
}

/** What of AWS a host needs. Each call throws the Faults of aws-faults.ts. */
export interface AwsCalls {
  /** Machines of the stack, those that ended in the last hour too; newest first. */
  machines(stack: string): Promise<Ec2Machine[]>;
  /** Does SSM have a connection of the machine's agent? */
  isOnline(id: string): Promise<boolean>;
  /** Lets in who has the private half of the key, as `user`, for a minute. */
  admit(machine: Ec2Machine, user: string, publicKey: string): Promise<void>;
  /** The newest of what the machine wrote to its console; empty where EC2 has nothing yet. */
  console(id: string): Promise<string>;
  /** Ends a machine for good. EC2 takes some time until it is gone. */
  terminate(id: string): Promise<void>;
  /** Data volumes of the stack that are not deleted. */
  volumes(stack: string): Promise<Ec2Volume[]>;
  /** Deletes a volume that no machine has, with what is on it. */
  deleteVolume(id: string): Promise<void>;
}

/** The calls of one region. Each SDK client is loaded when it is first needed, and takes the standard chain of credentials. */
export function awsCalls(region: string): AwsCalls {
  const ec2 = once(async () => {
    const sdk = await import("@aws-sdk/client-ec2");
    return { sdk, client: new sdk.EC2Client({ region }) };
  });
  const ssm = once(async () => {
    const sdk = await import("@aws-sdk/client-ssm");
    return { sdk, client: new sdk.SSMClient({ region }) };
  });
  const connect = once(async () => {
    const sdk = await import("@aws-sdk/client-ec2-instance-connect");
    return { sdk, client: new sdk.EC2InstanceConnectClient({ region }) };
  });
  const called = async <T>(action: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      throw awsFault(thrown, { action, region });
    }
  };
  return {
    machines: (stack) =>
      called("ec2:DescribeInstances", async () => {
        const { sdk, client } = await ec2();
        const Filters = tagFilters(ownTags(stack));
        const found: Ec2Machine[] = [];
        for await (const page of sdk.paginateDescribeInstances({ client }, { Filters })) {
          found.push(...(page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances).map(machineOf));
        }
        return found.sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime());
      }),
    isOnline: (id) =>
      called("ssm:DescribeInstanceInformation", async () => {
        const { sdk, client } = await ssm();
        const Filters = [{ Key: "InstanceIds", Values: [id] }];
        const { InstanceInformationList = [] } = await client.send(
          new sdk.DescribeInstanceInformationCommand({ Filters }),
        );
        return InstanceInformationList.some(
          ({ InstanceId, PingStatus }) => InstanceId === id && PingStatus === "Online",
        );
      }),
    admit: ({ id, zone }, user, publicKey) =>
      called("ec2-instance-connect:SendSSHPublicKey", async () => {
        const { sdk, client } = await connect();
        const where = zone === undefined ? {} : { AvailabilityZone: zone };
        await client.send(
          new sdk.SendSSHPublicKeyCommand({ InstanceId: id, InstanceOSUser: user, SSHPublicKey: publicKey, ...where }),
        );
      }),
    console: (id) =>
      called("ec2:GetConsoleOutput", async () => {
        const { sdk, client } = await ec2();
        const { Output = "" } = await client.send(new sdk.GetConsoleOutputCommand({ InstanceId: id }));
        return Buffer.from(Output, "base64").toString("utf8");
      }),
    ...endings(ec2, called),
  };
}

type Once<T> = () => Promise<T>;
type Called = <T>(action: string, work: () => Promise<T>) => Promise<T>;

/** The calls that end something, and what they need to know. */
function endings(
  ec2: Once<{ sdk: typeof Ec2; client: Ec2.EC2Client }>,
  called: Called,
): Pick<AwsCalls, "terminate" | "volumes" | "deleteVolume"> {
  return {
    terminate: (id) =>
      called("ec2:TerminateInstances", async () => {
        const { sdk, client } = await ec2();
        await client.send(new sdk.TerminateInstancesCommand({ InstanceIds: [id] }));
      }),
    volumes: (stack) =>
      called("ec2:DescribeVolumes", async () => {
        const { sdk, client } = await ec2();
        const Filters = tagFilters({ ...ownTags(stack), [tagNames.volume]: "data" });
        const found: Ec2Volume[] = [];
        for await (const page of sdk.paginateDescribeVolumes({ client }, { Filters })) {
          found.push(...(page.Volumes ?? []).map(volumeOf));
        }
        return found.filter(({ state }) => !state.startsWith("delet"));
      }),
    deleteVolume: (id) =>
      called("ec2:DeleteVolume", async () => {
        const { sdk, client } = await ec2();
        await client.send(new sdk.DeleteVolumeCommand({ VolumeId: id }));
      }),
  };
}

function tagFilters(tags: Tags): { Name: string; Values: string[] }[] {
  return Object.entries(tags).map(([name, value]) => ({ Name: `tag:${name}`, Values: [value] }));
}

function volumeOf({ VolumeId = "", State, Size = 0, VolumeType, Attachments = [] }: Ec2.Volume): Ec2Volume {
  const machine = Attachments.find(({ State: state }) => state !== "detached")?.InstanceId;
  return { id: VolumeId, state: State ?? "creating", sizeGiB: Size, type: VolumeType ?? "", machine };
}

function machineOf(instance: Ec2.Instance): Ec2Machine {
  const { InstanceId = "", State, Placement, InstanceType = "", LaunchTime, StateReason, Tags = [] } = instance;
  const reason = StateReason?.Message ?? instance.StateTransitionReason;
  return {
    id: InstanceId,
    state: State?.Name ?? "pending",
    zone: Placement?.AvailabilityZone,
    type: InstanceType,
    startedAt: LaunchTime ?? new Date(0),
    endedAt: timeIn(instance.StateTransitionReason),
    reason: reason === "" ? undefined : reason,
    expiry: Tags.find(({ Key }) => Key === tagNames.expiry)?.Value,
    group: Tags.find(({ Key }) => Key === tagNames.group)?.Value,
  };
}

/** `User initiated (2026-11-27 13:45:00 GMT)` */
function timeIn(transition: string | undefined): Date | undefined {
  const [, day, time] = /\((\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (?:GMT|UTC)\)/.exec(transition ?? "") ?? [];
  return day === undefined || time === undefined ? undefined : new Date(`${day}T${time}Z`);
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
