import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { expectSentence, expectSound } from "../faults/soundness.ts";
import { clusterObstacle } from "./cluster.ts";
import { type ClusterStage, expectRefusal, openClusterStage } from "./fault-stage.ts";

/** Pods that can't start or go, on a real cluster: each is told in a sentence, and the next `up` converges. */
const obstacle = await clusterObstacle();
let stage: ClusterStage;

beforeAll(async () => {
  if (obstacle === undefined) stage = await openClusterStage("pods");
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (stage as ClusterStage | undefined)?.remove());

// One experiment comes from one fault into the next: what was wrong before must not be in the way of what is right now.
const unlucky = "unlucky";

test("an image that nobody has is named", async () => {
  const image = `tuneup-test/missing@sha256:${"0".repeat(64)}`;
  await stage.write(unlucky, 60, stage.settings({ image }));
  await expectRefusal(stage, unlucky, /kubernetes\.image: .*waits for its image: .*tuneup-test\/missing/);
});

test("a StorageClass that is not there is named in preview", async () => {
  const volume = { claim: "elsewhere", size: "1Gi", storageClassName: "fast-nowhere" };
  await stage.write("classless", 12, stage.settings({ volume }));
  const { code, said } = await stage.tuneup("preview", "classless");
  expectSentence({ code, said }, /kubernetes\.volume\.storageClassName: .*fast-nowhere/);
});

test("with the right image it waits for the CPUs that no node has, in the scheduler's words", async () => {
  await stage.write(unlucky, 60, stage.settings({ cpuRequest: "64", cpu: "64" }));
  const up = stage.start("up", unlucky);
  await until(() => /waits for a node: .*Insufficient cpu/.test(up.said()) || up.over());
  up.interrupt();
  expectSentence(await up.ended, /waits for a node: .*Insufficient cpu/);
});

test("with fewer CPUs its Pods run out of memory, which is told after the second; with more memory it converges", async () => {
  // Less than PyTorch takes, and more than makes the kernel read its files again and again.
  await stage.write(unlucky, 60, stage.settings({ memory: "300Mi" }));
  await expectRefusal(stage, unlucky, /kubernetes\.memory: .*OOMKilled/);
  await stage.write(unlucky, 60);
  await expectSound(stage, unlucky);
});

test("destroy with a finalizer that nobody takes away ends in a sentence, and goes on when it is gone", async () => {
  const patch = (finalizers: string) =>
    stage.kubectl(
      "patch",
      `serviceaccount/${unlucky}`,
      "--type=merge",
      `--patch={"metadata":{"finalizers":${finalizers}}}`,
    );
  await patch('["example.com/held"]');
  expectSentence(await stage.tuneup("down", unlucky, "--yes"), /example\.com\/held/);
  await patch("null");
  const { code, said } = await stage.tuneup("down", unlucky, "--yes");
  expect(code, said).toBe(0);
  await expectSound(stage, unlucky);
});

// Last: it lies over the runs of the others.
test("a volume that gets full is told, and with room the training goes on", async () => {
  const { cluster, namespace } = stage;
  // A Pod that has the volume already would not see what is laid over it.
  await stage.kubectl("delete", "jobs", "--selector=tuneup.dev/role=agent", "--cascade=foreground", "--timeout=2m");
  await cluster.limitVolume(namespace, "tuneup-data", 6, "runs");
  await stage.write("crowded", 20);
  const up = stage.start("up", "crowded");
  await until(() => /The disk is (too )?full/.test(up.said()) || up.over());
  await cluster.limitVolume(namespace, "tuneup-data", 600, "runs");
  // It goes on by itself, unless its last try was before there was room.
  expect((await up.ended).said).toMatch(/The disk is (too )?full/);
  await expectSound(stage, "crowded");
});
