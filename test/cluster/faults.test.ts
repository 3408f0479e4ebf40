import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { send } from "../faults/processes.ts";
import { expectNoStepLost, expectSound } from "../faults/soundness.ts";
import { type Cli, reportsOf } from "../faults/stage.ts";
import { clusterObstacle } from "./cluster.ts";
import { type ClusterStage, freezePod, openClusterStage } from "./fault-stage.ts";

/** What happens to one training and its Pods on a real cluster, one after the other. It ends by the criterion of every fault test: the next `up` converges. */
const obstacle = await clusterObstacle();
const steps = 60;
const name = "beset";
let stage: ClusterStage;
let up: Cli;
/** The trainer, stopped between two faults: it is to be at work when the next one comes. */
let frozen: number;

beforeAll(async () => {
  if (obstacle !== undefined) return;
  stage = await openClusterStage("faults");
  await stage.write(name, steps);
  up = stage.start("up", name);
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (stage as ClusterStage | undefined)?.remove());

/** The newest Pod that trains. */
const trainer = async (): Promise<string> => (await stage.trainers()).at(-1) ?? "";

/** How often the cluster counted a Pod's end as a failure of its Job. */
function failures(): Promise<string> {
  const path = "{.items[0].status.failed}";
  return stage.kubectl("get", "jobs", `--selector=tuneup.dev/experiment=${name}`, `--output=jsonpath=${path}`);
}

test("a Pod that is deleted saves first, and the next one goes on", async () => {
  frozen = await freezePod(stage, up, name, 1);
  const pod = await trainer();
  await stage.kubectl("delete", pod, "--wait=false");
  send(frozen, "SIGCONT");
  await until(async () => (await trainer()) !== pod || up.over());
  frozen = await freezePod(stage, up, name, 2);
  await expectNoStepLost(stage, name);
});

test("a drained node's Pod goes on when the node is back, and up says meanwhile what it waits for", async () => {
  const before = await failures();
  await stage.cluster.kubectl(["cordon", "node"]);
  const pod = await trainer();
  send(frozen, "SIGCONT");
  // The agent's Pod stays: only those who train are sent away.
  const whom = ["--pod-selector=tuneup.dev/role=trainer", "--delete-emptydir-data"];
  await stage.cluster.kubectl(["drain", "node", "--force", ...whom]);
  await until(async () => (await trainer()) !== pod);
  await until(() => /waits for a node: .*unschedulable/.test(up.said()) || up.over());
  await stage.cluster.kubectl(["uncordon", "node"]);
  frozen = await freezePod(stage, up, name, 3);
  expect(await failures()).toBe(before);
});

test("the API server restarts and the kubelet is away for a minute: nobody notices who trains", async () => {
  await stage.cluster.restartApiserver();
  await stage.cluster.stopKubelet();
  await stage.cluster.kubectl(["wait", "--for=condition=Ready=Unknown", "node/node", "--timeout=300s"]);
  await stage.cluster.startKubelet();
  send(frozen, "SIGCONT");
  const { code, said } = await up.ended;
  expect(code, said).toBe(0);
  expect(Math.max(...reportsOf(await stage.run(name)).map(({ attempt }) => attempt))).toBe(3);
  await expectNoStepLost(stage, name);
  await expectSound(stage, name);
});
