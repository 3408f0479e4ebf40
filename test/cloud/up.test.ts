import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { processes } from "../faults/processes.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { expectNoStepLost, expectSentence, expectSound } from "../faults/soundness.ts";
import { freezeTrainer, reportsOf } from "../faults/stage.ts";
import { aws, type CloudStage, left, openCloudStage } from "./stage.ts";

/** An experiment on the target aws from nothing to nothing: the machine dies in the middle, and only the volume is left at the end. */
const name = "aws-demo";
const steps = 60;
let stage: CloudStage;
let volumeId: string;

needsRoot(
  async () => {
    stage = await openCloudStage();
    await write();
  },
  () => stage.remove(),
);

const write = (type = "g4dn.xlarge") =>
  stage.write(name, steps, { serve: { base: false, maxTokens: 8 }, aws: { ...aws, instanceTypes: [type] } });

/** Id of the only machine that runs. */
async function machineId(): Promise<string> {
  const alive = await stage.cloud.alive();
  expect(alive).toHaveLength(1);
  return alive[0]?.InstanceId ?? "";
}

const identity = async (): Promise<string> => (await stage.cloud.disks.of(volumeId)).identity();

test("a machine that is terminated in the middle of training is told in a sentence", async () => {
  const up = stage.start("up", name);
  await freezeTrainer(stage, up, name, 1);
  const id = await machineId();
  volumeId = (await left(stage.cloud)).volumes.find(({ State }) => State === "in-use")?.VolumeId ?? "";
  await stage.cloud.terminate(id);
  expectSentence(await up.ended, new RegExp(`${id}.* ended`));
});

test("the next up makes another one, which goes on from the last checkpoint of the same run, and answers", async () => {
  const before = await identity();
  const said = await expectSound(stage, name);
  expect(said).toMatch(/Who are you\?/);
  expect(await identity()).toBe(before);
  expect(reportsOf(await stage.run(name)).some(({ attempt }) => attempt > 1)).toBe(true);
  await expectNoStepLost(stage, name);
});

test("plain pulumi has nothing to change either, and the machine has no way in", async () => {
  const plain = await stage.pulumi("up", "--stack", name, "--yes");
  expect(plain.said).toMatch(/Resources:\s+\d+ unchanged/);
  const [instance] = await stage.cloud.alive();
  expect(instance).toBeDefined();
  expect(instance?.PublicIpAddress).toBeUndefined();
  const interfaces = instance?.NetworkInterfaces ?? [];
  const groups = interfaces.flatMap(({ Groups = [] }) => Groups.flatMap(({ GroupId }) => GroupId ?? []));
  expect(groups).toHaveLength(1);
  const { SecurityGroups = [] } = await stage.cloud.ec2.describeSecurityGroups({ GroupIds: groups });
  expect(SecurityGroups.flatMap(({ IpPermissions = [] }) => IpPermissions)).toEqual([]);
  expect(instance?.MetadataOptions).toMatchObject({ HttpTokens: "required", HttpPutResponseHopLimit: 1 });
});

test("chat asks it through Systems Manager, and leaves no session", async () => {
  const words = [`${stage.folder}/cli/main.ts`, "chat", name];
  const options = { cwd: stage.folder, env: stage.environment, extendEnv: false, all: true, reject: false } as const;
  const { all, stdout, exitCode } = await execa(process.execPath, words, { ...options, input: "Who are you?\n" });
  expect(exitCode, all).toBe(0);
  expect(stdout.trim()).not.toBe("");
  const id = await machineId();
  expect((await processes()).filter(({ words }) => words.includes(`--target ${id}`))).toEqual([]);
});

test("down leaves the volume with the run, and nothing else that is billed", async () => {
  const down = await stage.tuneup("down", name, "--yes");
  expect(down.code, down.said).toBe(0);
  const { volumes, ...others } = await left(stage.cloud);
  expect(others).toEqual({ instances: [], gateways: [], addresses: [], endpoints: [], networks: [], schedules: [] });
  expect(volumes.map(({ VolumeId, State }) => [VolumeId, State])).toEqual([[volumeId, "available"]]);
});

test("up again takes the volume up as it is, trains nothing, and answers", async () => {
  const [before, reports] = [await identity(), reportsOf(await stage.run(name)).length];
  const manifest = await readFile((await stage.run(name)).manifest, "utf8");
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  expect(up.said).toMatch(/Who are you\?/);
  expect(await stage.cloud.machines.get(await machineId())?.console()).toContain("the volume has its file system.");
  expect([await identity(), reportsOf(await stage.run(name)).length]).toEqual([before, reports]);
  expect(await readFile((await stage.run(name)).manifest, "utf8")).toBe(manifest);
  expect((await left(stage.cloud)).volumes.map(({ VolumeId }) => VolumeId)).toContain(volumeId);
});

test("another instance type makes another machine with the same volume", async () => {
  const [id, before] = [await machineId(), await identity()];
  await write("g4dn.2xlarge");
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  const [instance] = await stage.cloud.alive();
  expect(instance?.InstanceType).toBe("g4dn.2xlarge");
  expect(await machineId()).not.toBe(id);
  expect(await identity()).toBe(before);
  expect(up.said).toMatch(/Who are you\?/);
});

test("a machine without a network, and with nothing of ours alive, ends itself at the end of its lease", async () => {
  const machine = stage.cloud.machines.get(await machineId());
  const alive = async () => (await machine?.inside(["bash", "-c", "pgrep -u ubuntu || true"])) !== "";
  expect(await alive()).toBe(true);
  await machine?.inside(["bash", "-c", "kill -KILL -1"], "user");
  await until(async () => !(await alive()));
  await machine?.inside(["ip", "link", "set", "eth0", "down"]);
  await stage.cloud.later(1);
  expect(await stage.cloud.alive()).toHaveLength(1);
  await machine?.later(5 * 3600);
  await until(async () => (await stage.cloud.alive()).length === 0);
  expect((await left(stage.cloud)).schedules).toHaveLength(1);
});

test("a machine that hangs is gone at the end of its lease, by the schedule outside", async () => {
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  // None of its own timers runs any more.
  await stage.cloud.machines.get(await machineId())?.inside(["bash", "-c", "rm /run/timers-*"]);
  await stage.cloud.later(1);
  expect(await stage.cloud.alive()).toHaveLength(1);
  await stage.cloud.later(5);
  expect(await stage.cloud.alive()).toEqual([]);
  const status = await stage.tuneup("status", name);
  expect(status.said).toMatch(/ended/);
});
