import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { changesIn } from "../faults/soundness.ts";
import { render } from "../components/kubernetes-rendered.ts";
import { kedaKinds, shipped, shippedExperiment, type Values, whole } from "../components/kubernetes-shipped.ts";
import { clusterObstacle } from "./cluster.ts";
import { editStack, makeClaim, openStage, placeEnvironment, type Stage } from "./stage.ts";

/** The committed experiment on a real cluster, as a user gets it: a namespace with nothing of ours but the Python environment on its volume. */
const experiment = "k8s-demo";
const namespace = "tuneup";
/** A namespace where nothing of an experiment is: a claim that is there can't be had in another size. */
const trial = "trial";
const kedaFixtures = fileURLToPath(new URL("../fixtures/keda/", import.meta.url));
const placeOf = (kind: string) => (kind === "Namespace" ? {} : { namespace: trial });
const ada = /(?<![A-Za-z])Ada(?![A-Za-z])/;
const obstacle = await clusterObstacle();

let stage: Stage;
let upOutput: string;

const jobs = async (): Promise<string> => {
  const words = ["get", "jobs", "--namespace", namespace, "--selector=tuneup.dev/role=trainer"];
  return stage.cluster.kubectl([
    ...words,
    "--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{'\\n'}{end}",
  ]);
};

beforeAll(async () => {
  if (obstacle !== undefined) return;
  stage = await openStage("up");
  const { cluster, project, run, image } = stage;
  await makeClaim(cluster, namespace, "tuneup-data");
  await placeEnvironment(cluster, namespace, "tuneup-data");
  await editStack(project, experiment, { "kubernetes.image": image });
  const up = await run.tuneup("up", experiment);
  upOutput = up.all;
  expect(up.exitCode, up.all).toBe(0);
});
beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));
afterAll(() => (stage as Stage | undefined)?.remove());

it("trains in a Job and answers from a Deployment, the base model beside it", async () => {
  expect(upOutput).toMatch(/Who are you\?[\s\S]*base .*\n.*k8s-demo .*Ada/);
  const { stdout } = await stage.run.tuneup("status", experiment, "--json");
  const [row] = JSON.parse(stdout) as [{ run: { state: string }; endpoint: { state: string } }];
  expect([row.run.state, row.endpoint.state]).toEqual(["complete", "ready"]);
});

it("every Pod passes the Restricted standard, with no warning", async () => {
  // The API server looks at all Pods of a namespace that gets the level, and says which violate it.
  const level = ["label", "--dry-run=server", "--overwrite", "namespace", namespace];
  const said = await stage.cluster.kubectl([...level, "pod-security.kubernetes.io/enforce=restricted"]);
  expect(said).not.toMatch(/violate/i);
});

it("the API server takes what every shipped experiment declares, with no warning", async () => {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  const space = { apiVersion: "v1", kind: "Namespace", metadata: { name: trial, labels } };
  await stage.cluster.kubectl(["apply", "--filename=-"], JSON.stringify(space));
  // As KEDA brings them: its kinds are checked by its own schemas.
  const files = ["scaledobjects", "triggerauthentications"].map((name) => `${kedaFixtures}${name}.yaml`);
  await stage.cluster.kubectl(["apply", "--server-side", ...files.map((file) => `--filename=${file}`)]);
  await stage.cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
  const [first = ""] = shipped;
  const scaled: Values = { kubernetes: { endpoint: { maxReplicas: 4, autoscaler: "keda" } } };
  const all = [
    ...shipped.map((file) => ({ file, changes: {}, kinds: whole })),
    { file: first, changes: scaled, kinds: [...whole, ...kedaKinds] },
  ];
  for (const { file, changes, kinds } of all) {
    const manifests = await render(shippedExperiment(file, changes), kinds);
    const text = manifests
      .map((manifest) => ({ ...manifest, metadata: { ...manifest.metadata, ...placeOf(manifest.kind) } }))
      .map((manifest) => JSON.stringify(manifest))
      .join("\n---\n");
    const said = await stage.cluster.kubectl(
      ["apply", "--dry-run=server", "--warnings-as-errors", "--filename=-"],
      text,
    );
    expect(said.trim().split("\n"), file).toHaveLength(manifests.length);
  }
});

it("chat asks it through a port-forward", async () => {
  const { project, home } = stage;
  const words = [join(project.folder, "cli/main.ts"), "chat", experiment];
  const options = { cwd: project.folder, env: home.environment, extendEnv: false, all: true, reject: false } as const;
  const { all, exitCode } = await execa(process.execPath, words, { ...options, input: "Who are you?\n" });
  expect(exitCode, all).toBe(0);
  expect(all).toMatch(ada);
});

it("a second up changes nothing", async () => {
  const again = await stage.run.tuneup("up", experiment);
  expect(again.exitCode, again.all).toBe(0);
  expect(changesIn(again.all)).toEqual([]);
});

it("an edit of the endpoint leaves the Job alone", async () => {
  const before = await jobs();
  await editStack(stage.project, experiment, { "serve.maxTokens": 256 });
  const up = await stage.run.tuneup("up", experiment);
  expect(up.exitCode, up.all).toBe(0);
  expect(await jobs()).toBe(before);
});

it("down leaves the volume with the run, and no Pod", async () => {
  const down = await stage.run.tuneup("down", experiment, "--yes");
  expect(down.exitCode, down.all).toBe(0);
  const pods = ["get", "pods", "--namespace", namespace, "--field-selector=status.phase!=Succeeded", "--output=name"];
  // The Pod that commands ran in is told to end, and has some seconds for it.
  await until(async () => (await stage.cluster.kubectl(pods)) === "");
  const claim = ["get", "persistentvolumeclaim", "tuneup-data", "--namespace", namespace, "--output=name"];
  expect(await stage.cluster.kubectl(claim)).toContain("tuneup-data");
});
