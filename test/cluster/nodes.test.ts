import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { linesOf } from "../agent/runs/harness.ts";
import { expectSentence, expectSound } from "../faults/soundness.ts";
import { clusterObstacle } from "./cluster.ts";
import { type ClusterStage, openClusterStage } from "./fault-stage.ts";

/** One training on several machines by Kubeflow Trainer, whose Pods here share the one node. */
const obstacle = await clusterObstacle();
const steps = 12;
let stage: ClusterStage;

const volume = { claim: "tuneup-data", size: "30Gi", accessMode: "ReadWriteMany" };
const across = (nodes: number) => ({ ...stage.settings({ volume }), compute: { device: "cpu", nodes } });

beforeAll(async () => {
  if (obstacle === undefined) stage = await openClusterStage("nodes", "ReadWriteMany");
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (stage as ClusterStage | undefined)?.remove());

/** Loss by step, as rank 0 reported it. */
async function losses(name: string): Promise<number[]> {
  const reports = linesOf<{ kind: string; loss?: number }>((await stage.run(name)).reports);
  return reports.flatMap(({ kind, loss }) => (kind === "step" && loss !== undefined ? [loss] : []));
}

test("a missing controller is said in preview, with the command that installs it", async () => {
  await stage.write("two", steps, across(2));
  expectSentence(await stage.tuneup("preview", "two"), /Kubeflow Trainer/, /kubectl apply --server-side/);
});

test("two ranks train one run, as one process does with the same global batch", async () => {
  await stage.cluster.installTrainer();
  await stage.write("two", steps, { ...across(2), train: { per_device_train_batch_size: 2 } });
  await stage.write("one", steps, { ...across(1), train: { per_device_train_batch_size: 4 } });
  await expectSound(stage, "two");
  const pods = await stage.kubectl(
    "get",
    "pods",
    "--selector=tuneup.dev/experiment=two,tuneup.dev/role=trainer",
    "--output=name",
  );
  expect(pods.trim().split("\n")).toHaveLength(2);
  await expectSound(stage, "one");
  const [two, one] = [await losses("two"), await losses("one")];
  expect(two).toHaveLength(one.length);
  for (const [step, loss] of one.entries())
    expect(Math.abs((two[step] ?? NaN) - loss) / loss, `step ${step + 1}`).toBeLessThan(0.02);
});
