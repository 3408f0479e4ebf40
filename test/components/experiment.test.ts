import { runtime, type Output } from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Target } from "../../components/target-kind.ts";
import { readExperiment } from "../../recipe/experiment.ts";
import { hostSpecOf } from "../../recipe/target-host.ts";

interface Declared {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

const declared: Declared[] = [];

const outputs: Readonly<Record<string, Record<string, unknown>>> = {
  "tuneup-host:index:Environment": { path: "/d/env/e", torchDevice: "cpu" },
  "tuneup-host:index:ModelWeights": { path: "/d/models/m", bytes: 269_000_000, revision: "0.1.2" },
  "tuneup-host:index:Dataset": { path: "/d/datasets/x", names: ["identity"], rows: 16 },
  "tuneup-host:index:SftJob": { run: "exp-0123456789ab", directory: "/d/runs/exp-0123456789ab" },
  "tuneup-host:index:ChatEndpoint": {
    url: "http://127.0.0.1:8400",
    apiKey: "canary-key",
    models: ["exp", "base"],
    revision: "r1",
  },
  "tuneup-host:index:RunCompletion": { artifact: "/d/runs/exp-0123456789ab/output", steps: 24 },
};

await runtime.setMocks(
  {
    newResource: ({ type, name, inputs }) => {
      declared.push({ type, name, inputs: inputs as Record<string, unknown> });
      const own = "engine" in inputs ? { path: "/d/env/vllm", torchDevice: "cuda" } : {};
      return { id: `${name}-id`, state: { ...(inputs as object), ...outputs[type], ...own } };
    },
    call: ({ inputs }) => inputs as Record<string, unknown>,
  },
  "tuneup",
  "exp",
);

const { Experiment } = await import("../../components/experiment.ts");
const { LocalTarget, targetOf } = await import("../../components/target.ts");

function value<T>(output: Output<T>): Promise<T> {
  return new Promise((resolve) => void output.apply(resolve));
}

function config(changes: Record<string, unknown> = {}) {
  const { experiment, faults } = readExperiment({
    model: { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" },
    datasets: [{ builtin: "identity", name: "Ada", author: "us" }],
    train: { template: "qwen" },
    ...changes,
  });
  if (experiment === undefined) throw new Error(JSON.stringify(faults));
  return experiment;
}

/** Declares an experiment and waits until all its resources are registered. */
async function declare(target: Target, changes?: Record<string, unknown>) {
  const experiment = new Experiment("exp", { config: config(changes), target });
  await value(experiment.run);
  if (experiment.endpoint !== undefined) await value(experiment.endpoint.url);
  if (experiment.completion !== undefined) await value(experiment.completion.steps);
  return experiment;
}

function inputsOf(kind: string): Record<string, unknown> {
  const found = declared.filter(({ type }) => type.endsWith(`:${kind}`) && !type.startsWith("tuneup:"));
  expect(found).toHaveLength(1);
  return found[0]!.inputs;
}

beforeEach(() => {
  declared.length = 0;
});

describe("Experiment", () => {
  it("wires each resource's outputs to the next", async () => {
    await declare(new LocalTarget("exp", { dataDirectory: "/d" }));
    const host = { kind: "local", dataDirectory: "/d" };
    expect(inputsOf("Environment")).toEqual({ host, device: "auto" });
    expect(inputsOf("ModelWeights")).toMatchObject({ host, environment: "/d/env/e" });
    expect(inputsOf("SftJob")).toMatchObject({
      host,
      experiment: "exp",
      environment: "/d/env/e",
      device: "cpu",
      weights: "/d/models/m",
      datasetPath: "/d/datasets/x",
      datasetNames: ["identity"],
    });
    expect(inputsOf("ChatEndpoint")).toMatchObject({
      run: "exp-0123456789ab",
      weights: "/d/models/m",
      weightsBytes: 269_000_000,
    });
    expect(inputsOf("RunCompletion")).toEqual({ host, experiment: "exp", run: "exp-0123456789ab", endpoint: true });
  });

  it("serves by vLLM from an environment of its own, and trains in the one that it would train in without it", async () => {
    const train = { template: "qwen", vllm_maxlen: 8192 };
    await declare(new LocalTarget("exp", { dataDirectory: "/d" }), { serve: { engine: "vllm" }, train });
    const host = { kind: "local", dataDirectory: "/d" };
    const environments = declared.filter(({ type }) => type === "tuneup-host:index:Environment");
    expect(environments.map(({ name, inputs }) => [name, inputs])).toEqual([
      ["exp", { host, device: "auto" }],
      ["exp-vllm", { host, device: "cuda", engine: "vllm" }],
    ]);
    expect(inputsOf("SftJob")).toMatchObject({ environment: "/d/env/e", device: "cpu", train: { template: "qwen" } });
    expect(inputsOf("SftJob")["train"]).not.toHaveProperty("vllm_maxlen");
    expect(inputsOf("ChatEndpoint")).toMatchObject({ environment: "/d/env/vllm", device: "cuda", train });
  });

  it("needs no environment of vLLM's where nothing is served", async () => {
    const serve = { engine: "vllm", enabled: false };
    await declare(new LocalTarget("exp", { dataDirectory: "/d" }), { serve });
    expect(inputsOf("Environment")).not.toHaveProperty("engine");
  });

  it("keeps the endpoint's key a secret", async () => {
    const { endpoint } = await declare(new LocalTarget("exp", { dataDirectory: "/d" }));
    expect(await (endpoint!.apiKey as unknown as { isSecret: Promise<boolean> }).isSecret).toBe(true);
  });

  it("declares no endpoint where serving is off, and does not wait for one", async () => {
    const { endpoint } = await declare(new LocalTarget("exp", { dataDirectory: "/d" }), { serve: { enabled: false } });
    expect(endpoint).toBeUndefined();
    expect(inputsOf("RunCompletion")).toMatchObject({ endpoint: false });
  });

  it("declares no endpoint where what computes ends after the training, and waits for the artifact", async () => {
    const { endpoint } = await declare(new LocalTarget("exp", { dataDirectory: "/d" }), { teardown: "after-training" });
    expect(endpoint).toBeUndefined();
    expect(declared.some(({ type }) => type.endsWith(":ChatEndpoint"))).toBe(false);
    expect(inputsOf("RunCompletion")).toMatchObject({ endpoint: false });
  });

  it("says that an artifact may be let go only where the experiment says so", async () => {
    const target = new LocalTarget("exp", { dataDirectory: "/d" });
    await declare(target);
    // Also those that destroy takes first; and as in the state of older releases where nothing is said.
    const kinds = ["SftJob", "ChatEndpoint", "RunCompletion"];
    for (const kind of kinds) expect(inputsOf(kind)).not.toHaveProperty("discard");
    declared.length = 0;
    await declare(target, { teardown: { discard: true } });
    for (const kind of kinds) expect(inputsOf(kind)).toMatchObject({ discard: true });
  });

  it("leaves the waiting out where `wait` is false", async () => {
    const { completion } = await declare(new LocalTarget("exp", { dataDirectory: "/d" }), { wait: false });
    expect(completion).toBeUndefined();
    expect(declared.some(({ type }) => type.endsWith(":RunCompletion"))).toBe(false);
  });
});

describe("targets", () => {
  it("kubernetes yields a volume as data directory, and Pods after what they need", async () => {
    const changes = { target: "kubernetes", compute: { device: "cpu" }, kubernetes: { namespace: "tuning" } };
    const experiment = config(changes);
    const target = await targetOf("exp", hostSpecOf(experiment, {}, "exp"), experiment);
    await declare(target, changes);
    await vi.waitFor(() => inputsOf("PodDisruptionBudget"));
    expect(inputsOf("SftJob")["host"]).toMatchObject({
      kind: "kubernetes",
      namespace: "tuning",
      dataDirectory: "/data",
    });
    await vi.waitFor(() => inputsOf("Service"));
    const kinds = declared.map(({ type }) => type).filter((type) => type.startsWith("kubernetes:"));
    expect(kinds.sort()).toEqual([
      "kubernetes:apps/v1:Deployment",
      "kubernetes:batch/v1:Job",
      "kubernetes:core/v1:Namespace",
      "kubernetes:core/v1:PersistentVolumeClaim",
      "kubernetes:core/v1:Service",
      "kubernetes:core/v1:ServiceAccount",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy",
      "kubernetes:networking.k8s.io/v1:NetworkPolicy",
      "kubernetes:policy/v1:PodDisruptionBudget",
    ]);
    const order = declared.map(({ type }) => type);
    const at = (type: string) => order.findIndex((one) => one.endsWith(type) && !one.startsWith("tuneup:"));
    expect(at(":PersistentVolumeClaim")).toBeLessThan(at(":Environment"));
    expect(at(":SftJob")).toBeLessThan(at(":Job"));
    expect(at(":Job")).toBeLessThan(at(":RunCompletion"));
    expect(at(":RunCompletion")).toBeLessThan(at(":Deployment"));
    // It would wait for Pods that come after it.
    expect(inputsOf("RunCompletion")).toMatchObject({ endpoint: false });
    expect(inputsOf("ChatEndpoint")["serve"]).toMatchObject({ host: "0.0.0.0", port: 8400 });
    expect(inputsOf("ChatEndpoint")["serve"]).not.toHaveProperty("tls");
  });

  it("kubernetes trains on several machines by a TrainJob of the run's name", async () => {
    const changes = {
      target: "kubernetes",
      compute: { device: "cpu", nodes: 2 },
      kubernetes: { volume: { accessMode: "ReadWriteMany" } },
    };
    const experiment = config(changes);
    await declare(await targetOf("exp", hostSpecOf(experiment, {}, "exp"), experiment), changes);
    const runtime = declared.find(({ type }) => type.endsWith(":TrainingRuntime"));
    const job = declared.find(({ type }) => type.endsWith(":TrainJob"));
    expect(runtime?.inputs).toMatchObject({ spec: { mlPolicy: { numNodes: 2, torch: { numProcPerNode: 1 } } } });
    expect(job?.inputs).toMatchObject({ metadata: { name: "exp-0123456789ab" }, spec: { trainer: { numNodes: 2 } } });
    expect(inputsOf("SftJob")).toMatchObject({ processes: { nodes: 2, perNode: 1 } });
    expect(declared.some(({ type }) => type === "kubernetes:batch/v1:Job")).toBe(false);
  });
});
