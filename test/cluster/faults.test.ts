import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { send } from "../faults/processes.ts";
import { expectNoStepLost, expectSound } from "../faults/soundness.ts";
import { type Cli, reportsOf } from "../faults/stage.ts";
import { clusterObstacle } from "./cluster.ts";
import { type ClusterStage, freezePod, openClusterStage } from "./fault-stage.ts";

/** What happens to a training and its Pods on a real cluster. Each case ends by the criterion of every fault test: the next `up` converges. */
const obstacle = await clusterObstacle();
const steps = 60;
let stage: ClusterStage;

beforeAll(async () => {
  if (obstacle === undefined) stage = await openClusterStage("faults");
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (stage as ClusterStage | undefined)?.remove());

/** Follows `up`, which is to end well. */
async function ended(up: Cli): Promise<void> {
  const { code, said } = await up.ended;
  expect(code, said).toBe(0);
}

/** The newest Pod that trains. */
const trainer = async (): Promise<string> => (await stage.trainers()).at(-1) ?? "";

test("a Pod that is deleted saves first, and the next one goes on", async () => {
  await stage.write("deleted", steps);
  const up = stage.start("up", "deleted");
  const pid = await freezePod(stage, up, "deleted", 1);
  const pod = await trainer();
  await stage.kubectl("delete", pod, "--wait=false");
  send(pid, "SIGCONT");
  await ended(up);
  expect(await trainer()).not.toBe(pod);
  expect(Math.max(...reportsOf(await stage.run("deleted")).map(({ attempt }) => attempt))).toBeGreaterThan(1);
  await expectNoStepLost(stage, "deleted");
  await expectSound(stage, "deleted");
});

test("a drained node's Pod goes on when the node is back, and up says meanwhile what it waits for", async () => {
  await stage.write("drained", steps);
  const up = stage.start("up", "drained");
  send(await freezePod(stage, up, "drained", 1), "SIGCONT");
  await stage.cluster.kubectl(["cordon", "node"]);
  const pod = await trainer();
  await stage.cluster.kubectl([
    "drain",
    "node",
    "--force",
    "--pod-selector=tuneup.dev/role=trainer",
    "--delete-emptydir-data",
  ]);
  // The agent's Pod stays: only those who train were sent away.
  await until(async () => (await trainer()) !== pod);
  await until(() => /waits for a node: .*unschedulable/.test(up.said()) || up.over());
  await stage.cluster.kubectl(["uncordon", "node"]);
  await ended(up);
  expect(
    await stage.kubectl(
      "get",
      "jobs",
      "--selector=tuneup.dev/experiment=drained",
      "--output=jsonpath={.items[0].status.failed}",
    ),
  ).toMatch(/^0?$/);
  await expectNoStepLost(stage, "drained");
  await expectSound(stage, "drained");
});

test("the API server restarts and the kubelet is away for a minute: nobody notices who trains", async () => {
  await stage.write("away", steps);
  const up = stage.start("up", "away");
  const pid = await freezePod(stage, up, "away", 1);
  await stage.cluster.restartApiserver();
  await stage.cluster.stopKubelet();
  await stage.cluster.kubectl(["wait", "--for=condition=Ready=Unknown", "node/node", "--timeout=300s"]);
  await stage.cluster.startKubelet();
  send(pid, "SIGCONT");
  await ended(up);
  expect(Math.max(...reportsOf(await stage.run("away")).map(({ attempt }) => attempt))).toBe(1);
  await expectSound(stage, "away");
});
