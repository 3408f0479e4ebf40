import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { changesIn } from "../faults/soundness.ts";
import { reportsOf } from "../faults/stage.ts";
import { asker, type Asked } from "./asker.ts";
import { clusterObstacle } from "./cluster.ts";
import { type ClusterStage, openClusterStage } from "./fault-stage.ts";

/** An endpoint on a real cluster: who reaches it, and what becomes of requests while its Pods are replaced. */
const name = "served";
const friends = "friends";
const strangers = "strangers";
const obstacle = await clusterObstacle();
let stage: ClusterStage;

const serving = (changes: Readonly<Record<string, unknown>> = {}) => ({
  ...stage.settings({ endpoint: { allowFrom: [friends] } }),
  serve: { base: false, requestsPerMinute: 100_000, queue: 2000, ...changes },
});

beforeAll(async () => {
  if (obstacle !== undefined) return;
  stage = await openClusterStage("serve");
  for (const namespace of [friends, strangers]) await stage.cluster.kubectl(["create", "namespace", namespace]);
  await stage.write(name, 12, serving());
  const { code, said } = await stage.tuneup("up", name);
  expect(code, said).toBe(0);
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (stage as ClusterStage | undefined)?.remove());

/** Starts a Pod in a namespace that asks the endpoint; `asked` stops it and says what it found. */
async function ask(namespace: string, rate: number): Promise<() => Promise<Asked>> {
  const { said } = await stage.tuneup("endpoint", name, "--json");
  // It says beside, for people, that the address is the Pod's own.
  const { apiKey } = JSON.parse(/^\{.*\}$/m.exec(said)?.[0] ?? said) as { apiKey: string };
  const url = `http://${name}-endpoint.${stage.namespace}.svc:8400/v1/chat/completions`;
  const kubectl = (words: readonly string[], input?: string) =>
    stage.cluster.kubectl(["--namespace", namespace, ...words], input);
  await kubectl(["wait", "--for=create", "serviceaccount/default", "--timeout=60s"]);
  await kubectl(["apply", "--filename=-"], JSON.stringify(asker("asker", { url, key: apiKey, model: name, rate })));
  await kubectl(["wait", "--for=condition=Ready", "pod/asker", "--timeout=120s"]);
  return async () => {
    await kubectl(["exec", "asker", "--", "touch", "/tmp/stop"]);
    await kubectl(["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/asker", "--timeout=300s"]);
    const asked = JSON.parse(await kubectl(["logs", "asker"])) as Asked;
    await kubectl(["delete", "pod/asker"]);
    return asked;
  };
}

test("Pods of a namespace that it names reach it, others and its own trainer's kind do not", async () => {
  const friend = await (await ask(friends, 1))();
  expect(Object.keys(friend.statuses)).toEqual(["200"]);
  const stranger = await (await ask(strangers, 1))();
  expect(Object.keys(stranger.statuses)).toEqual(["0"]);
});

test("its Pods have no token, and its account may do nothing", async () => {
  const pod = await stage.kubectl("get", "pods", "--selector=tuneup.dev/role=endpoint", "--output=name");
  const look = stage.kubectl("exec", pod.split("\n")[0] ?? "", "--", "ls", "/var/run/secrets");
  await expect(look).rejects.toThrow(/No such file/);
  // No more than an account that nobody has given anything.
  const rights = (account: string) =>
    stage.cluster.kubectl(["auth", "can-i", "--list", `--as=system:serviceaccount:${account}`, "--no-headers"]);
  expect(await rights(`${stage.namespace}:${name}`)).toBe(await rights(`${strangers}:default`));
  expect(await rights(`${stage.namespace}:${name}`)).not.toMatch(/^(pods|secrets|jobs)/m);
});

test("another limit replaces its Pods without a failed request, and without a training", async () => {
  const before = reportsOf(await stage.run(name)).length;
  const asked = await ask(friends, 20);
  await stage.write(name, 12, serving({ maxTokens: 64 }));
  const { code, said } = await stage.tuneup("up", name);
  expect(code, said).toBe(0);
  expect(changesIn(said)).toEqual(["Endpoint"]);
  const { statuses } = await asked();
  expect(Object.keys(statuses)).toEqual(["200"]);
  expect(statuses["200"]).toBeGreaterThan(20);
  expect(reportsOf(await stage.run(name))).toHaveLength(before);
});

test("after-training leaves the volume and the artifact; serving again trains nothing", async () => {
  const before = reportsOf(await stage.run(name)).length;
  await stage.write(name, 12, { ...serving(), teardown: { when: "after-training" } });
  const ended = await stage.tuneup("up", name);
  expect(ended.code, ended.said).toBe(0);
  const living = ["--field-selector=status.phase=Running", "--output=name"];
  expect(await stage.kubectl("get", "pods", "--selector=tuneup.dev/role in (endpoint,trainer)", ...living)).toBe("");
  await stage.write(name, 12, serving());
  const back = await stage.tuneup("up", name);
  expect(back.code, back.said).toBe(0);
  expect(reportsOf(await stage.run(name))).toHaveLength(before);
});
