import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { vi } from "vitest";

/** Absolute: sshd starts itself anew for each connection. */
const sshd = "/usr/sbin/sshd";

/** Is there an sshd that can stand in for a machine's? */
export const hasSshd = existsSync(sshd);

/** A machine as the stand-in knows it. */
export interface FakeMachine {
  readonly id: string;
  readonly state: string;
  /** Tag `tuneup:stack`. */
  readonly stack: string;
  readonly reason?: string;
  readonly expiry?: string;
  readonly startedAt?: string;
  /** The Auto Scaling group that it is of. */
  readonly group?: string;
}

/** A data volume as the stand-in knows it. */
export interface FakeVolume {
  readonly id: string;
  /** Tag `tuneup:stack`. */
  readonly stack: string;
  readonly sizeGiB: number;
  /** The machine that has it. Once that is gone, the next look finds it free. */
  readonly machine?: string | undefined;
}

/** A resource as the tagging API lists it. */
export interface FakeResource {
  readonly arn: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** An account on loopback that speaks AWS's protocols, an `aws` first on PATH, and one sshd that is every machine's. */
export interface FakeAws {
  readonly folder: string;
  /** Programs that the machine has of its own. */
  readonly own: string;
  machines: FakeMachine[];
  /** What DescribeVolumes says, unless `answers` says something else. */
  volumes: FakeVolume[];
  /** Machines that were terminated and are gone at the look after the next. */
  readonly ending: Set<string>;
  resources: FakeResource[];
  /** Answers to other actions of EC2, by their names: what is inside the answer's element. */
  readonly answers: Map<string, string>;
  /** Machines that SSM knows. */
  readonly online: Set<string>;
  readonly consoles: Map<string, string>;
  /** Public keys that were let in, a line each: machine, user, key. */
  readonly admitted: string[];
  /** What each call is answered with instead, by the action's name; once for each entry. */
  readonly refusals: Map<string, { readonly status: number; readonly name: string; readonly message: string }[]>;
  /** Names of the actions that were asked for. */
  readonly actions: string[];
  /** How often `aws` was called, with which words. */
  calls(): Promise<string[]>;
  /** From now on `aws` says this and fails. */
  refuse(words: string | undefined): Promise<void>;
  /** What cloud-init says there, and the log of the first start. */
  boot(status: string, log: string): Promise<void>;
  /** A program that the machine has of its own. */
  program(name: string, content: string): Promise<void>;
  remove(): Promise<void>;
}

const awsProgram = `#!/bin/bash
echo "$*" >>"$FAKE_AWS/calls"
if [ -e "$FAKE_AWS/refusal" ]; then cat "$FAKE_AWS/refusal" >&2; exit 254; fi
exec ${sshd} -i -f "$FAKE_AWS/sshd_config" -E "$FAKE_AWS/sshd.log"
`;

/** Puts it in place for this test's process; `remove` takes it away again. */
export async function fakeAws(): Promise<FakeAws> {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-aws-"));
  const own = join(folder, "own");
  await Promise.all([mkdir(join(folder, "bin")), mkdir(own)]);
  await program(join(folder, "bin/aws"), awsProgram);
  await program(join(folder, "bin/session-manager-plugin"), "#!/bin/sh\nexit 1\n");
  await makeSshd(folder, own);
  const fake: Omit<FakeAws, "remove"> = {
    ...{ folder, own, machines: [], volumes: [], ending: new Set<string>(), resources: [], actions: [], admitted: [] },
    ...{
      online: new Set<string>(),
      consoles: new Map<string, string>(),
      refusals: new Map(),
      answers: new Map<string, string>(),
    },
    calls: async () => (await readFile(join(folder, "calls"), "utf8").catch(() => "")).split("\n").filter(Boolean),
    refuse: (words) =>
      words === undefined ? rm(join(folder, "refusal"), { force: true }) : writeFile(join(folder, "refusal"), words),
    program: (name, content) => program(join(own, name), content),
    boot: async (status, log) => {
      await writeFile(join(folder, "boot.log"), log);
      await program(join(own, "cloud-init"), `#!/bin/sh\necho "status: ${status}"\n`);
    },
  };
  const server = createServer((request, response) => void answer(fake, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const variables = {
    PATH: `${folder}/bin:${process.env["PATH"] ?? ""}`,
    FAKE_AWS: folder,
    TUNEUP_HOME: join(folder, "home"),
    TUNEUP_AWS_USER: userInfo().username,
    TUNEUP_AWS_POLL_MS: "20",
    AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_MAX_ATTEMPTS: "1",
  };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  const remove = async (): Promise<void> => {
    vi.unstubAllEnvs();
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  };
  return Object.assign(fake, { remove });
}

async function program(path: string, content: string): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o755);
}

async function makeSshd(folder: string, own: string): Promise<void> {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "host_key")]);
  // Where root's sshd lets its other half live; Debian makes it when the service starts.
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true });
  await writeFile(
    join(folder, "sshd_config"),
    `HostKey ${folder}/host_key
PidFile none
AuthorizedKeysFile ${folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM no
StrictModes no
UseDNS no
SetEnv "PATH=${own}:/usr/local/bin:/usr/bin:/bin" "TUNEUP_BOOT_LOG=${folder}/boot.log"
`,
  );
}

async function answer(fake: Omit<FakeAws, "remove">, request: IncomingMessage, response: ServerResponse) {
  const body = await text(request);
  const target = request.headers["x-amz-target"];
  const form = new URLSearchParams(body);
  const action = typeof target === "string" ? (target.split(".")[1] ?? "") : (form.get("Action") ?? "");
  fake.actions.push(action);
  const refusal = fake.refusals.get(action)?.shift();
  if (typeof target === "string") {
    response.setHeader("content-type", "application/x-amz-json-1.1");
    if (refusal === undefined) return response.end(JSON.stringify(await jsonAnswer(fake, action, body)));
    response.statusCode = refusal.status;
    return response.end(JSON.stringify({ __type: refusal.name, message: refusal.message }));
  }
  response.setHeader("content-type", "text/xml");
  if (refusal === undefined) return response.end(xmlAnswer(fake, action, form));
  response.statusCode = refusal.status;
  const error = `<Error><Code>${refusal.name}</Code><Message>${refusal.message}</Message></Error>`;
  return response.end(`<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`);
}

async function jsonAnswer(fake: Omit<FakeAws, "remove">, action: string, body: string): Promise<object> {
  const input = JSON.parse(body) as Record<string, unknown>;
  if (action === "DescribeInstanceInformation") {
    const [{ Values }] = input["Filters"] as [{ Values: string[] }];
    const known = Values.filter((id) => fake.online.has(id));
    return { InstanceInformationList: known.map((InstanceId) => ({ InstanceId, PingStatus: "Online" })) };
  }
  if (action === "SendSSHPublicKey") {
    const { InstanceId, InstanceOSUser, SSHPublicKey } = input as Record<string, string>;
    fake.admitted.push(`${InstanceId ?? ""} ${InstanceOSUser ?? ""} ${SSHPublicKey ?? ""}`);
    await writeFile(join(fake.folder, "authorized_keys"), `${SSHPublicKey ?? ""}\n`);
    return { RequestId: "r", Success: true };
  }
  if (action === "GetResources") {
    const ResourceTagMappingList = fake.resources.map(({ arn, tags }) => ({
      ResourceARN: arn,
      Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
    }));
    return { ResourceTagMappingList, PaginationToken: "" };
  }
  throw new Error(`the stand-in has no ${action}`);
}

function xmlAnswer(fake: Omit<FakeAws, "remove">, action: string, form: URLSearchParams): string {
  if (action === "GetConsoleOutput") {
    const said = Buffer.from(fake.consoles.get(form.get("InstanceId") ?? "") ?? "").toString("base64");
    return `<GetConsoleOutputResponse><output>${said}</output></GetConsoleOutputResponse>`;
  }
  const given = fake.answers.get(action);
  if (given !== undefined) return `<${action}Response>${given}</${action}Response>`;
  if (action === "TerminateInstances") {
    const id = form.get("InstanceId.1") ?? "";
    fake.machines = fake.machines.map((machine) =>
      machine.id === id ? { ...machine, state: "shutting-down" } : machine,
    );
    // As EC2 does: it is gone at some later look.
    fake.ending.add(id);
    return `<TerminateInstancesResponse></TerminateInstancesResponse>`;
  }
  if (action === "DeleteVolume") {
    const id = form.get("VolumeId") ?? "";
    fake.volumes = fake.volumes.filter((volume) => volume.id !== id);
    return `<DeleteVolumeResponse><return>true</return></DeleteVolumeResponse>`;
  }
  if (action === "DescribeVolumes") return volumesXml(fake, form);
  if (action === "DescribeInstances") {
    const stack = [1, 2].find((index) => form.get(`Filter.${index}.Name`) === "tag:tuneup:stack");
    const wanted = form.get(`Filter.${stack ?? 0}.Value.1`);
    const items = fake.machines.filter((machine) => stack === undefined || machine.stack === wanted).map(machineXml);
    const set = items.map((item) => `<item><instancesSet>${item}</instancesSet></item>`).join("");
    fake.machines = fake.machines.map((one) => (fake.ending.delete(one.id) ? { ...one, state: "terminated" } : one));
    return `<DescribeInstancesResponse><reservationSet>${set}</reservationSet></DescribeInstancesResponse>`;
  }
  throw new Error(`the stand-in has no ${action}`);
}

/** Each look lets go of a volume that is on its way off its machine. */
function volumesXml(fake: Omit<FakeAws, "remove">, form: URLSearchParams): string {
  const stack = [1, 2, 3].find((index) => form.get(`Filter.${index}.Name`) === "tag:tuneup:stack");
  const wanted = form.get(`Filter.${stack ?? 0}.Value.1`);
  const items = fake.volumes
    .filter((volume) => volume.stack === wanted)
    .map(({ id, sizeGiB, machine }) => {
      const on =
        machine === undefined ? "" : `<item><instanceId>${machine}</instanceId><status>attached</status></item>`;
      const state = machine === undefined ? "available" : "in-use";
      return `<item><volumeId>${id}</volumeId><size>${sizeGiB}</size><volumeType>gp3</volumeType><status>${state}</status><attachmentSet>${on}</attachmentSet></item>`;
    });
  const isGone = (id: string | undefined): boolean =>
    fake.machines.every((machine) => machine.id !== id || machine.state === "terminated");
  fake.volumes = fake.volumes.map((one) => (isGone(one.machine) ? { ...one, machine: undefined } : one));
  return `<DescribeVolumesResponse><volumeSet>${items.join("")}</volumeSet></DescribeVolumesResponse>`;
}

function machineXml({ id, state, reason, expiry, startedAt, group }: FakeMachine): string {
  const told =
    reason === undefined ? "" : `<stateReason><code>${reason}</code><message>${reason}: said</message></stateReason>`;
  const tags = { "tuneup:expiry": expiry, "aws:autoscaling:groupName": group };
  const tag = Object.entries(tags)
    .flatMap(([key, value]) => (value === undefined ? [] : [`<item><key>${key}</key><value>${value}</value></item>`]))
    .join("");
  return `<item><instanceId>${id}</instanceId><instanceState><code>0</code><name>${state}</name></instanceState>
<instanceType>g5.xlarge</instanceType><launchTime>${startedAt ?? new Date().toISOString()}</launchTime>
<placement><availabilityZone>us-east-1a</availabilityZone></placement>${told}<tagSet>${tag}</tagSet></item>`;
}
