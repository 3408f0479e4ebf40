import { mkdtemp } from "node:fs/promises";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { EC2, type Instance } from "@aws-sdk/client-ec2";
import { Scheduler } from "@aws-sdk/client-scheduler";
import { until } from "../agent/runs/harness.ts";
import { freshUid } from "../faults/ssh/namespace.ts";
import { sharedHome } from "../fixtures/home.ts";
import { type Answer, type Call, errorAnswer, jsonAnswer } from "./calls.ts";
import { type Door, openDoor } from "./door.ts";
import { type Machine, startMachine } from "./machine.ts";
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
  /** Variables for a user's programs: endpoint, credentials, and PATH with an `aws` that reaches the machines. */
  readonly environment: Readonly<Record<string, string>>;
  /** Machines that run, by instance id. */
  readonly machines: ReadonlyMap<string, Machine>;
  /** May machines register with SSM? Default: true. */
  ssm: boolean;
  /** Ends a machine from outside, without notice. */
  terminate(id: string): Promise<void>;
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
  const fleet = new Fleet(disks, { uid, variables });
  const direct = { region, endpoint: moto.address, credentials };
  const [ec2, scheduler] = [new EC2(direct), new Scheduler(direct)];
  const image = await imageOf(ec2);
  const door = await openDoor(moto.address, {
    instead: (call) => (call.service === "ssm" ? ssmAnswer(call, fleet, image) : fleet.answer(call)),
    after: (call, body) => fleet.hear(call, body),
  });
  fleet.onOff = (id) => ec2.terminateInstances({ InstanceIds: [id] }).then(() => undefined);
  const bin = fileURLToPath(new URL("./bin", import.meta.url));
  return {
    ...{ door, disks, ec2, scheduler, machines: fleet.machines },
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
    alive: async () => {
      const states = ["pending", "running", "stopping", "stopped", "shutting-down"];
      const { Reservations = [] } = await ec2.describeInstances({
        Filters: [{ Name: "instance-state-name", Values: states }],
      });
      return Reservations.flatMap(({ Instances = [] }) => Instances);
    },
    later: async (hours) => {
      for (const machine of fleet.machines.values()) await machine.later(Math.round(hours * 3600));
      await fire(scheduler, ec2, fleet, Date.now() + hours * 3_600_000);
    },
    remove: async () => {
      await fleet.close();
      door.close();
      await moto.stop();
      await disks.remove();
    },
  };
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
async function fire(scheduler: Scheduler, ec2: EC2, fleet: Fleet, now: number): Promise<void> {
  const { Schedules = [] } = await scheduler.listSchedules({});
  for (const { Name } of Schedules) {
    const { ScheduleExpression = "", Target, State } = await scheduler.getSchedule({ Name });
    const [, at = ""] = /^at\((.*)\)$/.exec(ScheduleExpression) ?? [];
    if (State !== "ENABLED" || !(Date.parse(`${at}Z`) <= now)) continue;
    if (Target?.Arn !== "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances") continue;
    const { InstanceIds = [] } = JSON.parse(Target.Input ?? "{}") as { InstanceIds?: string[] };
    for (const id of InstanceIds) await fleet.end(id);
    await ec2.terminateInstances({ InstanceIds });
  }
}

/** The machines of the instances that moto has. */
class Fleet {
  readonly machines = new Map<string, Machine>();
  readonly starting = new Map<string, Promise<Machine>>();
  readonly #disks: Disks;
  readonly #options: Parameters<typeof startMachine>[1];
  readonly #consoles = new Map<string, string>();
  readonly #watch: NodeJS.Timeout;
  ssm = true;
  /** A machine has powered itself off. */
  onOff: (id: string) => Promise<void> = () => Promise.resolve();

  constructor(disks: Disks, options: Parameters<typeof startMachine>[1]) {
    this.#disks = disks;
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

  async close(): Promise<void> {
    clearInterval(this.#watch);
    for (const id of [...this.machines.keys(), ...this.starting.keys()]) await this.end(id);
  }

  #start(id: string, userData: string): void {
    const starting = startMachine(userData, this.#options).then((machine) => {
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
