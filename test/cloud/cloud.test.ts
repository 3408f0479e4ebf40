import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, test } from "vitest";
import { userData } from "../../recipe/aws/user-data.ts";
import { until } from "../agent/runs/harness.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { type Cloud, openCloud } from "./cloud.ts";

/** The cloud does what it says: what the tests of the target aws rest on. */
const zone = "us-east-1a";
const leaseHours = 2;
let cloud: Cloud;
let folder: string;
let volumeId: string;

needsRoot(
  async () => {
    cloud = await openCloud();
    folder = await mkdtemp("/var/tmp/tuneup-key-");
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
    volumeId = (await cloud.ec2.createVolume({ AvailabilityZone: zone, Size: 20 })).VolumeId ?? "";
  },
  () => cloud.remove(),
);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A call by its bare request, as it comes to the door. */
async function call(service: string, target: string, body: object): Promise<unknown> {
  const answer = await fetch(cloud.door.address, {
    method: "POST",
    headers: {
      "x-amz-target": target,
      "content-type": "application/x-amz-json-1.1",
      authorization: `AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/${service}/aws4_request`,
    },
    body: JSON.stringify(body),
  });
  return answer.json();
}

/** Runs an instance with the volume, by way of the door; its id. */
async function run(): Promise<string> {
  const ec2 = cloud.throughDoor;
  const { Images = [] } = await ec2.describeImages({ Filters: [{ Name: "name", Values: ["ubuntu/*"] }] });
  const { Instances = [] } = await ec2.runInstances({
    ...{ MinCount: 1, MaxCount: 1, ImageId: Images[0]?.ImageId, InstanceType: "g6.xlarge" },
    UserData: Buffer.from(userData({ volumeId, leaseHours })).toString("base64"),
    Placement: { AvailabilityZone: zone },
  });
  const id = Instances[0]?.InstanceId ?? "";
  await ec2.attachVolume({ InstanceId: id, VolumeId: volumeId, Device: "/dev/sdf" });
  await until(async () => (await cloud.machines.get(id)?.console())?.includes("is mounted at") === true);
  return id;
}

async function ssh(id: string, command: string): Promise<string> {
  const key = await readFile(join(folder, "key.pub"), "utf8");
  await call("ec2-instance-connect", "AWSEC2InstanceConnectService.SendSSHPublicKey", {
    ...{ InstanceId: id, InstanceOSUser: "ubuntu", SSHPublicKey: key },
  });
  const session = `aws ssm start-session --region us-east-1 --target ${id}`;
  const proxy = `${session} --document-name AWS-StartSSHSession --parameters portNumber=22`;
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    `ProxyCommand=${proxy}`,
  ];
  const words = ["-F", "none", "-i", join(folder, "key"), ...options.flatMap((option) => ["-o", option])];
  return (await execa("ssh", [...words, `ubuntu@${id}`, command], { env: cloud.environment })).stdout;
}

test("an instance formats its blank volume, and ssh comes through SSM with a key of a minute", async () => {
  const id = await run();
  const machine = cloud.machines.get(id)!;
  expect(await machine.console()).toContain("the volume is blank and is formatted.");
  expect(await ssh(id, "id -un; hostname >/dev/null; cloud-init status")).toBe("ubuntu\nstatus: done");
  await machine.inside(["bash", "-c", "echo kept >/var/lib/tuneup/mine"]);
  expect(await readFile(join(cloud.disks.data, "mine"), "utf8")).toBe("kept\n");
  await cloud.throughDoor.terminateInstances({ InstanceIds: [id] });
  expect(cloud.machines.size).toBe(0);
  await expect(ssh(id, "true")).rejects.toThrow(/TargetNotConnected/);
});

test("the next instance mounts it as it was, and powers off when its lease is over", async () => {
  const before = await (await cloud.disks.of(volumeId)).identity();
  expect(before).not.toBe("");
  const id = await run();
  const machine = cloud.machines.get(id)!;
  expect(await machine.console()).toContain("the volume has its file system.");
  expect(await (await cloud.disks.of(volumeId)).identity()).toBe(before);
  expect(await ssh(id, "cat /var/lib/tuneup/mine")).toBe("kept");
  await cloud.later(leaseHours - 0.1);
  expect(machine.isOff()).toBe(false);
  await cloud.later(leaseHours + 0.1);
  await until(async () => (await cloud.alive()).length === 0);
  expect(cloud.machines.size).toBe(0);
});

test("what is injected is answered as AWS answers it", async () => {
  const code = "InsufficientInstanceCapacity";
  const end = cloud.door.refuse({ action: "RunInstances", code, message: "no capacity", status: 500 });
  await expect(run()).rejects.toMatchObject({ name: code, message: "no capacity" });
  end();
  const ended = cloud.door.refuse({ service: "ssm", code: "ExpiredTokenException", message: "expired" });
  expect(await call("ssm", "AmazonSSM.GetParameter", { Name: "x" })).toMatchObject({ __type: "ExpiredTokenException" });
  ended();
  expect(await cloud.alive()).toEqual([]);
});
