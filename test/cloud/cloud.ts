import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { EC2, type Instance } from "@aws-sdk/client-ec2";
import { S3 } from "@aws-sdk/client-s3";
import { Scheduler } from "@aws-sdk/client-scheduler";
import { until } from "../agent/runs/harness.ts";
import { freshUid } from "../faults/ssh/namespace.ts";
import { sharedHome } from "../fixtures/home.ts";
import { BucketPolicies } from "./bucket-policies.ts";
import { type Answer, type Call, errorAnswer, jsonAnswer } from "./calls.ts";
import { type Door, openDoor } from "./door.ts";
import { changesGroups, type Groups, openGroups } from "./groups.ts";
import { type GroupMachine, type Machine, startMachine } from "./machine.ts";
import { startMoto } from "./moto.ts";
import { type Disks, openDisks } from "./volumes.ts";

/** An account of AWS on this machine: moto answers the API, and each instance is a host in a network namespace. */
export interface Cloud {
  readonly door: Door;
  readonly disks: Disks;
  /** For asking what is there. */
  readonly ec2: EC2;
  /** The same as a user's programs ask: what it does is done to the machines too. */
  readonly throughDoor: EC2;
  readonly scheduler: Scheduler;
  readonly groups: Groups;
  /** For putting into buckets what a user has there. */
  readonly s3: S3;
  /** Variables for a user's programs: endpoint, credentials, and PATH with an `aws` that reaches the machines. */
  readonly environment: Readonly<Record<string, string>>;
  /** Machines that run, by instance id. */
  readonly machines: ReadonlyMap<string, Machine>;
  /** May machines register with SSM? Default: true. */
  ssm: boolean;
  /** Ends a machine from outside, without notice. */
  terminate(id: string): Promise<void>;
  /** AWS looks after its groups, which the emulator does not do by itself: what was taken back is replaced, what is too many ends. */
  reconcile(): Promise<void>;
  /** Instances that are not terminated. */
  alive(): Promise<Instance[]>;
  /** Lets time go by for machines (their timers run) and for schedules (those that are due fire), in hours from now. */
  later(hours: number): Promise<void>;
  remove(): Promise<void>;
}

const region = "us-east-1";
const credentials = { accessKeyId: "testing", secretAccessKey: "testing" };
const deepLearning = "/aws/service/deeplearning/ami/";

/** Opens an empty one. `variables`: of all that machines' users run. */
export async function openCloud(variables: Readonly<Record<string, string>> = {}): Promise<Cloud> {
  const uid = freshUid();
  const disks = openDisks(await mkdtemp("/var/tmp/tuneup-cloud-"), uid);
  const moto = await startMoto(sharedHome);
  const direct = { region, endpoint: moto.address, credentials };
  const [ec2, scheduler] = [new EC2(direct), new Scheduler(direct)];
  const groups = openGroups(ec2, direct);
  const fleet = new Fleet(disks, groups, { uid, variables });
  const [image, policies] = [await imageOf(ec2), new BucketPolicies()];
  const door = await openDoor(moto.address, {
    instead: (call) =>
      policies.answer(call) ?? (call.service === "ssm" ? ssmAnswer(call, fleet, image) : fleet.answer(call)),
    after: (call, body) => fleet.hear(call, body),
  });
  const socket = await openSocket(`${dirname(disks.data)}/aws.sock`, door.port);
  fleet.aws = { port: door.port, socket: socket.path };
  fleet.onOff = (id) => ec2.terminateInstances({ InstanceIds: [id] }).then(() => undefined);
  const bin = fileURLToPath(new URL("./bin", import.meta.url));
  return {
    ...{ door, disks, ec2, scheduler, groups, machines: fleet.machines },
    s3: new S3({ ...direct, forcePathStyle: true }),
    throughDoor: new EC2({ ...direct, endpoint: door.address, maxAttempts: 1 }),
    environment: {
      AWS_ENDPOINT_URL: door.address,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
      PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
    },
    get ssm() {
      return fleet.ssm;
    },
    set ssm(value) {
      fleet.ssm = value;
    },
    terminate: async (id) => {
      await fleet.end(id);
      await ec2.terminateInstances({ InstanceIds: [id] });
    },
    reconcile: async () => {
      await groups.reconcile();
      await fleet.follow();
    },
    alive: async () => {
      const states = ["pending", "running", "stopping", "stopped", "shutting-down"];
      const { Reservations = [] } = await ec2.describeInstances({
        Filters: [{ Name: "instance-state-name", Values: states }],
      });
      return Reservations.flatMap(({ Instances = [] }) => Instances);
    },
    later: async (hours) => {
      for (const machine of fleet.machines.values()) await machine.later(Math.round(hours * 3600));
      await fire(scheduler, { ec2, groups }, fleet, Date.now() + hours * 3_600_000);
    },
    remove: async () => {
      await fleet.close();
      socket.close();
      door.close();
      await moto.stop();
      await disks.remove();
    },
  };
}

/** A socket of the file system, which network namespaces have in common, in front of a port of loopback. */
async function openSocket(path: string, port: number): Promise<{ readonly path: string; close(): void }> {
  const server = createServer((inner) => {
    const outer = connect(port, "127.0.0.1");
    inner.pipe(outer).pipe(inner);
    inner.once("error", () => outer.destroy());
    outer.once("error", () => inner.destroy());
  });
  server.listen(path);
  await once(server, "listening");
  return { path, close: () => server.close() };
}

/** Any image with a name and a root disk: what is on it is the namespace's. */
async function imageOf(ec2: EC2): Promise<string> {
  const { Images = [] } = await ec2.describeImages({
    Filters: [{ Name: "name", Values: ["ubuntu/images/hvm-ssd/*"] }],
  });
  const id = Images.find(({ RootDeviceName }) => RootDeviceName === "/dev/sda1")?.ImageId;
  if (id === undefined) throw new Error("moto knows no image of Ubuntu.");
  return id;
}

/** Schedules that are due make their call, as EventBridge Scheduler would. */
async function fire(
  scheduler: Scheduler,
  { ec2, groups }: Pick<Cloud, "ec2" | "groups">,
  fleet: Fleet,
  now: number,
): Promise<void> {
  const { Schedules = [] } = await scheduler.listSchedules({});
  for (const { Name } of Schedules) {
    const { ScheduleExpression = "", Target, State } = await scheduler.getSchedule({ Name });
    const [, at = ""] = /^at\((.*)\)$/.exec(ScheduleExpression) ?? [];
    if (State !== "ENABLED" || !(Date.parse(`${at}Z`) <= now)) continue;
    const input = JSON.parse(Target?.Input ?? "{}") as { InstanceIds?: string[]; AutoScalingGroupName?: string };
    if (Target?.Arn === "arn:aws:scheduler:::aws-sdk:autoscaling:setDesiredCapacity")
      await groups.scaling.setDesiredCapacity({ AutoScalingGroupName: "", DesiredCapacity: undefined, ...input });
    if (Target?.Arn !== "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances") continue;
    const { InstanceIds = [] } = input;
    for (const id of InstanceIds) await fleet.end(id);
    await ec2.terminateInstances({ InstanceIds });
  }
}

/** The machines of the instances that moto has. */
class Fleet {
  readonly machines = new Map<string, Machine>();
  readonly starting = new Map<string, Promise<Machine>>();
  readonly #disks: Disks;
  readonly #groups: Groups;
  readonly #options: Parameters<typeof startMachine>[1];
  readonly #consoles = new Map<string, string>();
  readonly #watch: NodeJS.Timeout;
  /** Instances of groups that were followed so far. */
  readonly #followed = new Set<string>();
  #following: Promise<void> = Promise.resolve();
  ssm = true;
  /** Where machines of groups find AWS. */
  aws: GroupMachine["aws"] = { port: 0, socket: "" };
  /** A machine has powered itself off. */
  onOff: (id: string) => Promise<void> = () => Promise.resolve();

  constructor(disks: Disks, groups: Groups, options: Parameters<typeof startMachine>[1]) {
    this.#disks = disks;
    this.#groups = groups;
    this.#options = options;
    this.#watch = setInterval(() => this.#lookForOff(), 100).unref();
  }

  /** What moto would answer as if there were no machines. */
  async answer(call: Call): Promise<Answer | undefined> {
    const id = call.parameter("InstanceId");
    if (call.action === "SendSSHPublicKey") {
      const machine = await this.machine(id);
      if (machine === undefined) return errorAnswer(call, "EC2InstanceNotFoundException", "Instance not found", 404);
      await machine.admit(call.parameter("SSHPublicKey"));
      return jsonAnswer({ RequestId: "1", Success: true });
    }
    if (call.action !== "GetConsoleOutput") return undefined;
    const text = (await this.machines.get(id)?.console()) ?? this.#consoles.get(id) ?? "";
    const output = Buffer.from(text).toString("base64");
    const body = `<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><instanceId>${id}</instanceId><output>${output}</output></GetConsoleOutputResponse>`;
    return { status: 200, type: "text/xml", body };
  }

  /** What moto has done, done to the machines too. */
  async hear(call: Call, body: string): Promise<void> {
    if (call.action === "RunInstances") {
      const [, id = ""] = /<instanceId>(i-[0-9a-f]+)<\/instanceId>/.exec(body) ?? [];
      this.#start(id, Buffer.from(call.parameter("UserData"), "base64").toString());
    }
    if (changesGroups(call)) await this.follow();
    if (call.action === "TerminateInstances") for (const id of call.parameters("InstanceId.")) await this.end(id);
    if (call.action !== "AttachVolume") return;
    const volumeId = call.parameter("VolumeId");
    const disk = await this.#disks.of(volumeId);
    await (await this.machine(call.parameter("InstanceId")))?.attach(volumeId, disk);
  }

  /** The machine, once it is up; undefined where there is none. */
  async machine(id: string): Promise<Machine | undefined> {
    return this.machines.get(id) ?? (await this.starting.get(id));
  }

  async end(id: string): Promise<void> {
    const machine = await this.machine(id);
    if (machine === undefined || !this.machines.delete(id)) return;
    this.#consoles.set(id, await machine.console());
    await machine.end();
  }

  /** Starts a machine for each new instance of a group, and ends those whose instance is gone. */
  follow(): Promise<void> {
    const once = async (): Promise<void> => {
      const running = await this.#groups.running();
      for (const [id, userData] of running) {
        if (this.#followed.has(id)) continue;
        this.#followed.add(id);
        this.#start(id, userData, { disk: await this.#disks.of(id), aws: this.aws });
      }
      for (const id of this.#followed) if (!running.has(id)) await this.end(id);
    };
    return (this.#following = this.#following.then(once));
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    for (const id of [...this.machines.keys(), ...this.starting.keys()]) await this.end(id);
  }

  #start(id: string, userData: string, ofGroup?: GroupMachine): void {
    const starting = startMachine(userData, this.#options, ofGroup).then((machine) => {
      this.machines.set(id, machine);
      return machine;
    });
    this.starting.set(id, starting);
    void starting
      .catch((thrown: unknown) => console.error(`The machine ${id} did not start:`, thrown))
      .finally(() => this.starting.delete(id));
  }

  #lookForOff(): void {
    for (const [id, machine] of this.machines) if (machine.isOff()) void this.end(id).then(() => this.onOff(id));
  }
}

function ssmAnswer(call: Call, fleet: Fleet, image: string): Answer | undefined {
  if (call.action === "GetParameter" && call.parameter("Name").startsWith(deepLearning)) {
    const Name = call.parameter("Name");
    const Parameter = {
      Name,
      Type: "String",
      Value: image,
      Version: 1,
      ARN: `arn:aws:ssm:${region}::parameter${Name}`,
    };
    return jsonAnswer({ Parameter });
  }
  if (call.action === "DescribeInstanceInformation") {
    const ids = fleet.ssm ? [...fleet.machines.keys()] : [];
    return jsonAnswer({ InstanceInformationList: ids.map((InstanceId) => ({ InstanceId, PingStatus: "Online" })) });
  }
  if (call.action !== "StartSession") return undefined;
  const target = call.parameter("Target");
  const machine = fleet.ssm ? fleet.machines.get(target) : undefined;
  if (machine === undefined) return errorAnswer(call, "TargetNotConnected", `${target} is not connected.`);
  return jsonAnswer({ SessionId: "tests-1", TokenValue: "-", StreamUrl: `tcp://${machine.address}:22` });
}

/** Waits until the account has no instance that runs. */
export async function untilEmpty(cloud: Cloud): Promise<void> {
  await until(async () => (await cloud.alive()).length === 0);
}
