import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { expectComplete, expectSentence, expectSound } from "../faults/soundness.ts";
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

test("an image that nobody has is named, and the right one converges", async () => {
  const image = `tuneup-test/missing@sha256:${"0".repeat(64)}`;
  await stage.write("imageless", 12, stage.settings({ image }));
  await expectRefusal(stage, "imageless", /kubernetes\.image: .*waits for its image: .*tuneup-test\/missing/);
  await stage.write("imageless", 12);
  await expectSound(stage, "imageless");
});

test("a StorageClass that is not there is named in preview", async () => {
  const volume = { claim: "elsewhere", size: "1Gi", storageClassName: "fast-nowhere" };
  await stage.write("classless", 12, stage.settings({ volume }));
  const { code, said } = await stage.tuneup("preview", "classless");
  expectSentence({ code, said }, /kubernetes\.volume\.storageClassName: .*fast-nowhere/);
});

test("more CPUs than a node has: said in the scheduler's words, and fewer converge", async () => {
  await stage.write("greedy", 12, stage.settings({ cpuRequest: "64", cpu: "64" }));
  const up = stage.start("up", "greedy");
  await until(() => /waits for a node: .*Insufficient cpu/.test(up.said()) || up.over());
  up.interrupt();
  expectSentence(await up.ended, /waits for a node: .*Insufficient cpu/);
  await stage.write("greedy", 12);
  await expectSound(stage, "greedy");
});

test("Pods that run out of memory are told after the second, and more memory converges", async () => {
  await stage.write("starved", 60, stage.settings({ memory: "150Mi" }));
  await expectRefusal(stage, "starved", /kubernetes\.memory: .*OOMKilled/);
  await stage.write("starved", 60);
  await expectSound(stage, "starved");
});

test("destroy with a finalizer that nobody takes away ends in a sentence, and goes on when it is gone", async () => {
  await stage.write("held", 12);
  const up = await stage.tuneup("up", "held");
  expect(up.code, up.said).toBe(0);
  await expectComplete(stage, "held");
  const patch = (finalizers: string) =>
    stage.kubectl("patch", "serviceaccount/held", "--type=merge", `--patch={"metadata":{"finalizers":${finalizers}}}`);
  await patch('["example.com/held"]');
  expectSentence(await stage.tuneup("down", "held", "--yes"), /example\.com\/held/);
  await patch("null");
  const { code, said } = await stage.tuneup("down", "held", "--yes");
  expect(code, said).toBe(0);
  await expectSound(stage, "held");
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
