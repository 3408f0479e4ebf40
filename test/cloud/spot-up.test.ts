import { rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { expectComplete, expectSentence } from "../faults/soundness.ts";
import { openSpotStage, ownBuckets, published } from "./spot-stage.ts";
import { type CloudStage, left } from "./stage.ts";

/** An experiment with spot capacity from nothing to nothing but its bucket. What AWS does by itself for a group, the test tells the emulator to do. */
const name = "spot-demo";
const group = `tuneup-${name}`;
let stage: CloudStage;

needsRoot(
  async () => {
    stage = await openSpotStage(name, 10);
  },
  () => stage.remove(),
);

/** What of spot capacity there is, beside what every stack on AWS has. */
async function spotParts() {
  const { ec2, groups } = stage.cloud;
  const { LaunchTemplates = [] } = await ec2.describeLaunchTemplates({});
  const { AutoScalingGroups = [] } = await groups.scaling.describeAutoScalingGroups({});
  return {
    buckets: await ownBuckets(stage),
    templates: LaunchTemplates.length,
    groups: AutoScalingGroups.map((one) => [one.AutoScalingGroupName, one.DesiredCapacity]),
  };
}

test("up trains on the machine that the group starts, and what the run leaves is in the stack's bucket and here", async () => {
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  await expectComplete(stage, name);
  expect(await spotParts()).toMatchObject({ templates: 1, groups: [[group, 1]] });
  expect(await stage.cloud.alive()).toHaveLength(1);
  const keys = await published(stage);
  expect(
    keys.filter((key) => /\/manifest\.json$/.test(key)),
    keys.join("\n"),
  ).toHaveLength(1);
  expect(
    keys.filter((key) => /\/machine\/\d+\/plan\.json$/.test(key)),
    keys.join("\n"),
  ).toHaveLength(1);
});

test("a second up changes nothing, nor does plain pulumi", async () => {
  const calls = stage.cloud.door.calls.length;
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  const plain = await stage.pulumi("up", "--stack", name, "--yes");
  expect(plain.said).toMatch(/Resources:\s+\d+ unchanged/);
  const made = stage.cloud.door.calls.slice(calls).filter((call) => /:(Create|Delete|Update|Run|Put|Set)/.test(call));
  expect(made).toEqual([]);
});

test("a machine that AWS takes back is followed by one that goes on by itself, and up finds it", async () => {
  const [first] = await stage.cloud.alive();
  await stage.cloud.terminate(first?.InstanceId ?? "");
  await stage.cloud.reconcile();
  const [next, ...others] = await stage.cloud.alive();
  expect(others).toEqual([]);
  expect(next?.InstanceId).not.toBe(first?.InstanceId);
  const said = async () => (await stage.cloud.machines.get(next?.InstanceId ?? "")?.console()) ?? "";
  await until(async () => / go(es)? on by itself/.test(await said()));
  expect(await said()).toContain("this machine goes on by itself.");
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  await expectComplete(stage, name);
});

test("at the end of its lease the machine leaves its group first, so that none comes after it", async () => {
  const [machine] = await stage.cloud.alive();
  await stage.cloud.later(3);
  expect((await spotParts()).groups).toEqual([[group, 1]]);
  await stage.cloud.machines.get(machine?.InstanceId ?? "")?.later(5 * 3600);
  expect((await spotParts()).groups).toEqual([[group, 0]]);
  expect(stage.cloud.door.calls).toContain("autoscaling:SetDesiredCapacity");
  await stage.cloud.reconcile();
  expect(await stage.cloud.alive()).toEqual([]);
  expect((await stage.tuneup("status", name)).said).toMatch(/ended/);
});

test("up starts no machine for a run that is complete and here, and takes the group away", async () => {
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  expect(await spotParts()).toMatchObject({ templates: 0, groups: [] });
  expect(await stage.cloud.alive()).toEqual([]);
});

test("down leaves the bucket with the run, and with --purge not even that where the run is here", async () => {
  const down = await stage.tuneup("down", name, "--yes");
  expect(down.code, down.said).toBe(0);
  const { volumes, ...billed } = await left(stage.cloud);
  expect(Object.values(billed).flat()).toEqual([]);
  // The emulator heeds no disk of a launch template, and keeps the root disk that it makes instead when the machine has ended.
  const disks = volumes.flatMap(({ Attachments = [] }) => Attachments.map(({ Device }) => Device));
  expect(disks).toEqual(volumes.map(() => "/dev/sda1"));
  const { buckets, ...others } = await spotParts();
  expect(others).toEqual({ templates: 0, groups: [] });
  expect(buckets).toHaveLength(1);
  expect((await published(stage)).some((key) => key.endsWith("/manifest.json"))).toBe(true);
  const [here, away] = [join(stage.home, "artifacts", name), join(stage.home, "away")];
  await rename(here, away);
  const alone = new RegExp(`left lies in the bucket ${buckets[0] ?? ""} alone`);
  expectSentence(await stage.tuneup("down", name, "--purge", "--yes"), alone);
  expect((await spotParts()).buckets).toEqual(buckets);
  await rename(away, here);
  const purge = await stage.tuneup("down", name, "--purge", "--yes");
  expect(purge.code, purge.said).toBe(0);
  expect((await spotParts()).buckets).toEqual([]);
});
