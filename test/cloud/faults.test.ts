import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { expectSentence, expectSound } from "../faults/soundness.ts";
import type { Injected } from "./door.ts";
import { aws, type CloudStage, left, openCloudStage } from "./stage.ts";

/**
 * What AWS can refuse, one after the other on one stack: each `up` ends with one sentence, and whatever is billed is the stack's, so that `down`
 * ends it.
 */
const name = "tiny";
let stage: CloudStage;
const write = (more: object = {}) => stage.write(name, 10, { aws: { ...aws, egress: "none", ...more } });

needsRoot(
  async () => {
    stage = await openCloudStage();
    await write();
  },
  () => stage.remove(),
);

/** What `up` said while AWS answered with this error. */
async function refused(error: Injected): ReturnType<CloudStage["tuneup"]> {
  const end = stage.cloud.door.refuse(error);
  try {
    return await stage.tuneup("up", name);
  } finally {
    end();
  }
}

/** Everything that is billed is in the stack's state. */
async function expectOwned(): Promise<void> {
  const { volumes, instances, gateways, addresses, endpoints, schedules } = await left(stage.cloud);
  const state = (await stage.pulumi("stack", "export", "--stack", name)).said;
  const roots = (await stage.cloud.alive()).flatMap(({ BlockDeviceMappings = [] }) => BlockDeviceMappings);
  const data = volumes.filter(({ VolumeId }) => !roots.some(({ Ebs }) => Ebs?.VolumeId === VolumeId));
  const others = [...instances, ...gateways, ...addresses, ...endpoints, ...schedules];
  const billed = [...others, ...data.map(({ VolumeId }) => VolumeId)];
  for (const id of billed) expect(state, id).toContain(String(id));
}

test("an image's parameter that is not there stops it before anything is made", async () => {
  const ended = await refused({ action: "GetParameter", code: "ParameterNotFound", message: "Not there" });
  expectSentence(ended, /the image of the machine \(SSM parameter \S+ in us-east-1\): ParameterNotFound: Not there\./);
  expect((await left(stage.cloud)).networks).toEqual([]);
});

test("credentials that expire in the middle are told once, and nothing is lost sight of", async () => {
  const up = stage.start("up", name);
  await until(() => stage.cloud.door.calls.includes("ec2:CreateVpc") || up.over());
  const end = stage.cloud.door.refuse({ code: "ExpiredToken", message: "The security token is expired", status: 403 });
  const { code, said } = await up.ended;
  end();
  expectSentence({ code, said }, /Your credentials for AWS have expired\..*run this again/);
  expect(said.match(/have expired/g)).toHaveLength(1);
  await expectOwned();
});

test.each([
  [
    "InsufficientInstanceCapacity",
    "We currently do not have sufficient g4dn.xlarge capacity in the Availability Zone you requested (us-east-1a).",
    /AWS has no free g4dn\.xlarge in us-east-1a now\./,
  ],
  [
    "VcpuLimitExceeded",
    "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket.",
    /Your account may run 0 vCPUs/,
  ],
])("%s is told in a sentence, and no machine is there", async (code, message, sentence) => {
  expectSentence(await refused({ action: "RunInstances", code, message }), sentence);
  expect(await stage.cloud.alive()).toEqual([]);
  await expectOwned();
});

test("a volume in another zone is told before anything is changed", async () => {
  await write({ zone: "us-east-1b" });
  const ended = await stage.tuneup("up", name);
  await write();
  expectSentence(ended, /the volume vol-\w+ .* is in us-east-1a, .*; got us-east-1b\./);
  await expectOwned();
});

test("a first start that fails is told with the end of its log, and the volume is left as it was", async () => {
  const [volume] = (await left(stage.cloud)).volumes;
  const { folder } = await stage.cloud.disks.of(volume?.VolumeId ?? "");
  const device = join(folder, "device");
  await writeFile(device, "of somebody else", { flag: "r+" });
  expectSentence(await stage.tuneup("up", name), /first start of i-\w+ failed.*it is not formatted/);
  expect((await readFile(device)).subarray(0, 16).toString()).toBe("of somebody else");
  await expectOwned();
  await writeFile(device, Buffer.alloc(16), { flag: "r+" });
  for (const { InstanceId = "" } of await stage.cloud.alive()) await stage.cloud.terminate(InstanceId);
});

test("a machine whose agent SSM never hears of is told, with what its console said", async () => {
  stage.cloud.ssm = false;
  stage.environment["TUNEUP_AWS_PATIENCE_MS"] = "5000";
  const ended = await stage.tuneup("up", name);
  delete stage.environment["TUNEUP_AWS_PATIENCE_MS"];
  stage.cloud.ssm = true;
  expectSentence(ended, /its SSM agent has not registered/, /the volume is mounted/);
  await expectOwned();
});

test("the next up converges with that machine", async () => {
  const [before] = await stage.cloud.alive();
  await expectSound(stage, name);
  expect((await stage.cloud.alive()).map(({ InstanceId }) => InstanceId)).toEqual([before?.InstanceId]);
});

test("down ends all of it but the volume", async () => {
  const down = await stage.tuneup("down", name, "--yes");
  expect(down.code, down.said).toBe(0);
  const { volumes, ...others } = await left(stage.cloud);
  expect(volumes).toHaveLength(1);
  expect(down.said).toMatch(new RegExp(`${volumes[0]?.VolumeId}.*20 GiB, 1\\.60 USD a month`));
  expect(Object.values(others).flat()).toEqual([]);
});

test("down --purge deletes the volume too, once nobody has to be asked", async () => {
  expectSentence(await stage.tuneup("down", name, "--purge", "--yes"), /lies on the volume alone/);
  const down = await stage.tuneup("down", name, "--purge", "--yes", "--discard");
  expect(down.code, down.said).toBe(0);
  expect((await left(stage.cloud)).volumes).toEqual([]);
});
