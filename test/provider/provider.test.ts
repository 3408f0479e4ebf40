import { describe, expect, it } from "vitest";
import { EngineLog } from "../../provider/engine-log.ts";
import { TuneupProvider } from "../../provider/provider.ts";
import { chatEndpointKind } from "../../provider/resources/chat-endpoint.ts";
import { resourceKinds } from "../../provider/resources/index.ts";
import { sftJobKind } from "../../provider/resources/sft-job.ts";
import { fakeHost } from "../fixtures/fake-host.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { asSecret, unknownValue } from "../../provider/values.ts";

const provider = new TuneupProvider(new EngineLog(undefined));
const host = { kind: "local", dataDirectory: "/nowhere" };

/** `check` with its inputs typed: the SDK's own type is `any`. */
async function check(kind: string, olds: object, news: Record<string, unknown>) {
  const result = await provider.check(urn(kind), olds, news);
  return { inputs: result.inputs as Record<string, unknown>, failures: result.failures };
}

function urn(kind: string): string {
  return `urn:pulumi:exp::tuneup::tuneup:components:Experiment$tuneup-host:index:${kind}::exp`;
}

const job = {
  host,
  experiment: "exp",
  train: { template: "qwen", learning_rate: 1e-4 },
  datasets: [{ builtin: "general" }],
  model: { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" },
  environment: "/d/env",
  device: "cpu",
  weights: "/d/models/m",
  datasetPath: "/d/datasets/x",
  datasetNames: ["general"],
  config: {},
};

async function checkedJob(changes: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  const { inputs, failures } = await check("SftJob", {}, { ...job, ...changes });
  expect(failures).toEqual([]);
  return inputs;
}

it("gives a run no name while its data can't be read", async () => {
  const { inputs, failures } = await check("SftJob", {}, { ...job, datasets: [{ path: "/nowhere/faq.json" }] });
  expect(failures).toMatchObject([{ property: "datasets.0.path" }]);
  expect(inputs).not.toHaveProperty("run");
});

/** What the agent is told to run. */
async function declared(changes: Record<string, unknown>): Promise<{ readonly spec: RunSpec }> {
  const commands: { name: string; input: unknown }[] = [];
  const fake = fakeHost("/d", (name, input) => {
    commands.push({ name, input });
    return {};
  });
  await sftJobKind.ensure(sftJobKind.inputs.parse(await checkedJob(changes)), { host: fake, options: {} });
  expect(commands.map(({ name }) => name)).toEqual(["run-declare"]);
  return commands[0]!.input as { readonly spec: RunSpec };
}

describe("SftJob", () => {
  it("knows its run before environment, weights and data are there", async () => {
    const known = await checkedJob();
    const first = await checkedJob({ environment: unknownValue, weights: unknownValue, datasetPath: unknownValue });
    expect(known["run"]).toMatch(/^exp-[0-9a-f]{12}$/);
    expect(first["run"]).toBe(known["run"]);
  });

  it("is replaced, the old run first, when a hyperparameter changes; never by where things lie", async () => {
    const olds = { ...(await checkedJob()), state: "healthy", schemaVersion: 1 };
    const moved = await checkedJob({ weights: "/e/models/m", environment: unknownValue });
    expect(await provider.diff("id", urn("SftJob"), olds, moved)).toMatchObject({ changes: false, replaces: [] });
    const changed = await checkedJob({ train: { ...job.train, learning_rate: 2e-4 } });
    expect(await provider.diff("id", urn("SftJob"), olds, changed)).toMatchObject({
      changes: true,
      replaces: ["run"],
      deleteBeforeReplace: true,
    });
  });

  it("keeps its run when a release changes what the user did not declare", async () => {
    const olds = { ...(await checkedJob()), run: "exp-of-an-older-release" };
    const { inputs } = await check("SftJob", olds, job);
    expect(inputs).toMatchObject({ run: "exp-of-an-older-release" });
    const { inputs: changed } = await check("SftJob", olds, { ...job, train: { ...job.train, seed: 1 } });
    expect(changed).toMatchObject({ run: expect.stringMatching(/^exp-[0-9a-f]{12}$/) as string });
  });

  it("is updated, not replaced, when refresh saw it interrupted", async () => {
    const inputs = await checkedJob();
    const olds = { ...inputs, state: "interrupted", schemaVersion: 1 };
    expect(await provider.diff("id", urn("SftJob"), olds, inputs)).toMatchObject({ changes: true, replaces: [] });
  });

  it("is another run with another adapter to go on from, and with the best checkpoint", async () => {
    const remote = { ...job, host: { kind: "ssh", dataDirectory: "/d", address: "gpu" } };
    const runs = [
      await checkedJob(remote),
      await checkedJob({ ...remote, checkpoint: "last" }),
      await checkedJob({ ...remote, checkpoint: "best" }),
      await checkedJob({ ...remote, model: { ...job.model, adapter: "first-0123456789ab" } }),
    ].map(({ run }) => run);
    expect(runs[1]).toBe(runs[0]);
    expect(new Set(runs).size).toBe(3);
  });

  it("looks in preview for the adapter to go on from", async () => {
    const { failures } = await check("SftJob", {}, { ...job, model: { ...job.model, adapter: "first-1" } });
    expect(failures).toMatchObject([{ property: "model.adapter" }]);
    expect(failures?.[0]?.reason).toContain("There is no adapter in /nowhere/runs/first-1/output");
  });

  it("goes on from a run's adapter, and keeps the best checkpoint", async () => {
    const { spec } = await declared({
      host: { kind: "ssh", dataDirectory: "/d", address: "gpu" },
      checkpoint: "best",
      model: { ...job.model, adapter: "first-1" },
      train: { ...job.train, val_size: 0.1, eval_strategy: "steps", eval_steps: 5 },
    });
    expect(spec.arguments).toMatchObject({
      adapter_name_or_path: "/d/runs/first-1/output",
      load_best_model_at_end: true,
      metric_for_best_model: "eval_loss",
      save_steps: 5,
    });
  });

  it("declares absolute paths and LLaMA-Factory's own names to the agent", async () => {
    const command = await declared({});
    expect(command).toMatchObject({
      spec: {
        experiment: "exp",
        artifact: "adapter",
        arguments: {
          model_name_or_path: "/d/models/m",
          dataset: "general",
          dataset_dir: "/d/datasets/x",
          learning_rate: 1e-4,
        },
      },
    });
  });
});

describe("ChatEndpoint", () => {
  const serve = {
    engine: "huggingface",
    base: "auto",
    host: "127.0.0.1",
    port: 0,
    requestsPerMinute: 60,
    queue: 4,
    bodyBytes: 1000,
    maxTokens: 64,
  };
  const inputs = {
    host,
    experiment: "exp",
    serve,
    train: job.train,
    run: "exp-000000000000",
    environment: "/d/env",
    device: "cpu",
    weights: "/d/models/m",
    weightsBytes: 1,
  };
  const olds = {
    ...inputs,
    url: "http://127.0.0.1:8400",
    apiKey: asSecret("canary"),
    models: ["exp"],
    state: "healthy",
    schemaVersion: 1,
  };

  it("is updated alone when its settings change", async () => {
    const news = { ...inputs, serve: { ...serve, maxTokens: 128 } };
    expect(await provider.diff("exp", urn("ChatEndpoint"), olds, news)).toMatchObject({ changes: true, replaces: [] });
    expect(await provider.diff("exp", urn("ChatEndpoint"), olds, inputs)).toMatchObject({ changes: false });
  });

  it("is repaired when refresh saw it down", async () => {
    const down = { ...olds, state: "down" };
    expect(await provider.diff("exp", urn("ChatEndpoint"), down, inputs)).toMatchObject({
      changes: true,
      replaces: [],
    });
  });

  it("refuses sglang in preview with what to do, and takes vllm, whose environment says where it can't be", async () => {
    const asked = async (engine: string) =>
      (await check("ChatEndpoint", {}, { ...inputs, serve: { ...serve, engine } })).failures;
    expect(await asked("sglang")).toEqual([
      { property: "serve.engine", reason: expect.stringContaining("to huggingface or vllm") as string },
    ]);
    expect(await asked("vllm")).toEqual([]);
  });

  it("declares its key as secret output", () => {
    expect(chatEndpointKind.secretOutputs).toEqual(["apiKey"]);
  });
});

describe("the provider", () => {
  it("refuses state of a newer release in a sentence", async () => {
    const olds = { host, device: "auto", state: "healthy", schemaVersion: 99 };
    await expect(provider.diff("id", urn("Environment"), olds, { host, device: "auto" })).rejects.toThrow(
      /newer tuneup.*Update this checkout|newer tuneup/,
    );
  });

  it("refuses a type that it does not have, naming those it has", async () => {
    await expect(check("Cluster", {}, {})).rejects.toThrow(`it has ${Object.keys(resourceKinds).join(", ")}`);
  });

  it("reports a dataset that is missing on its property", async () => {
    const { failures } = await provider.check(
      urn("Dataset"),
      {},
      { host, datasets: [{ builtin: "general" }, { path: "/nowhere/faq.json" }] },
    );
    expect(failures).toEqual([
      { property: "datasets.1.path", reason: expect.stringContaining("/nowhere/faq.json") as string },
    ]);
  });

  it("says in preview that there is no cluster", async () => {
    const before = process.env["KUBECONFIG"];
    process.env["KUBECONFIG"] = "/nowhere/kubeconfig";
    try {
      const spec = { claim: "data", claimBytes: 1e9, image: "i", shareNode: true, gpuResource: "nvidia.com/gpu" };
      const host = { kind: "kubernetes", namespace: "x", dataDirectory: "/data", cpu: "1", memory: "1Gi", ...spec };
      const { failures } = await provider.check(urn("Environment"), {}, { host, device: "auto" });
      expect(failures).toEqual([
        { property: "kubernetes.context", reason: expect.stringContaining("/nowhere/kubeconfig") as string },
      ]);
    } finally {
      if (before === undefined) delete process.env["KUBECONFIG"];
      else process.env["KUBECONFIG"] = before;
    }
  });
});
