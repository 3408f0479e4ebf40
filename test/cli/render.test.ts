import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { datasetEnsure } from "../../agent/datasets/commands.ts";
import { huggingface } from "../../agent/endpoints/engines/huggingface.ts";
import { pythonScript } from "../../agent/scripts.ts";
import { pythonTrainer } from "../../agent/runs/trainer.ts";
import { foresee, type Foreseen } from "../../cli/render/prepared.ts";
import { type Rendered, render, shellLine } from "../../cli/render/render.ts";
import { sha256 } from "../../recipe/canonical.ts";
import { datasetsDigest, planDatasets } from "../../recipe/datasets.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { readRunnableExperiment } from "../../recipe/runnable-experiment.ts";
import { endpointSpecOf } from "../../recipe/specs.ts";
import { stackConfig } from "../../recipe/stack-edit.ts";
import { collect, makeHost } from "../agent/runs/harness.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const stacks = new URL("../../stacks/", import.meta.url);

async function experimentOf(name: string): Promise<Experiment> {
  const text = await readFile(new URL(`Pulumi.${name}.yaml`, stacks), "utf8");
  const values = stackConfig(text);
  // The shipped one names no machine: that is its user's.
  if (values["target"] === "ssh") values["compute"] = { host: "box7" };
  const { experiment, faults } = readRunnableExperiment(values, "/project");
  if (experiment === undefined) throw new Error(JSON.stringify(faults));
  return { ...experiment, compute: { ...experiment.compute, device: "cpu" } };
}

/** A host whose preflight says what cards it has. */
function hostWith(dataDirectory: string, ...gpus: readonly string[]) {
  return fakeHost(dataDirectory, () => ({ gpus: gpus.map((name) => ({ name })) }));
}

describe("render", () => {
  let host: ReturnType<typeof makeHost>;
  let experiment: Experiment;
  let foreseen: Foreseen;
  let rendered: Rendered;

  beforeAll(async () => {
    host = makeHost();
    experiment = await experimentOf("local");
    foreseen = await foresee("local", experiment, hostWith(host.dataDirectory), "/nowhere/local.lock.json");
    rendered = render(experiment, foreseen);
  });
  afterAll(() => host.clean());

  const text = (name: string): string | undefined => rendered.files.find((file) => file.name === name)?.text;

  it("shows the train.yaml that a declared run gets, at its path", async () => {
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: rendered.spec }, collect());
    const paths = host.paths(rendered.spec.run);
    expect(rendered.files[0]?.path).toBe(paths.config);
    expect(text("train.yaml")).toBe(await readFile(paths.config, "utf8"));
    expect(JSON.parse(await readFile(paths.spec, "utf8"))).toEqual(JSON.parse(JSON.stringify(rendered.spec)));
  });

  it("shows the dataset_info.json that the data gets, in its folder", async () => {
    const entries = planDatasets(experiment.datasets).map(({ name, info, extension, inline = "" }) => ({
      ...{ name, info, extension, inline },
      sha256: sha256(inline),
    }));
    const digest = datasetsDigest(entries);
    const { path } = await datasetEnsure({ dataDirectory: host.dataDirectory, digest, entries }, collect());
    expect(foreseen.prepared.datasetPath).toBe(path);
    expect(text("dataset_info.json")).toBe(await readFile(join(path, "dataset_info.json"), "utf8"));
  });

  it("shows the trainer's command as the agent starts it", async () => {
    const paths = host.paths(rendered.spec.run);
    const launch = { layout: host.layout, paths, spec: rendered.spec, attempt: 1, resume: undefined, saveSeconds: 600 };
    const { file, words, environment } = await pythonTrainer(launch);
    expect(rendered.commands[0]).toEqual({ what: "Training", environment, words: [file, ...words] });
  });

  it("shows the engine's file and command as the agent starts it", async () => {
    const layout = layoutOf(host.dataDirectory);
    const launched = huggingface.launch({
      spec: endpointSpecOf(experiment.train, experiment.serve, foreseen.prepared, 0),
      models: ["local"],
      output: layout.run(rendered.spec.run).output,
      folder: `${layout.endpoint("local").directory}/engine-own`,
      wrapper: await pythonScript(layout, "serve"),
      port: 4321,
      key: "secret",
    });
    expect(text("infer-own.yaml")).toBe(launched.files[0]?.text);
    expect(rendered.commands[1]?.words).toEqual([launched.program, ...launched.words]);
    expect(rendered.commands[1]?.environment).toEqual({
      ...launched.environment,
      API_PORT: "<port>",
      API_KEY: "<key>",
    });
  });

  it("gives lines that a shell takes", () => {
    const line = shellLine({ what: "x", environment: { A: "b c", E: "" }, words: ["run", "it's"] });
    expect(line.replaceAll(" \\\n  ", " ")).toBe("A='b c' E='' run 'it'\\''s'");
  });
});

it("says which names only a download tells, and no name that is wrong", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-render-"));
  try {
    const experiment = await experimentOf("qwen2.5-7b-lora");
    const { prepared, unknown } = await foresee("q", experiment, hostWith(folder), `${folder}/q.lock.json`);
    expect(prepared.weights).toBe(`${folder}/models/Qwen--Qwen2.5-7B-Instruct@<revision>`);
    expect(prepared.run).toBe("q-<data>");
    expect(unknown).toHaveLength(3);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("takes device and paths from the host, not from this machine", async () => {
  const experiment = await experimentOf("ssh-demo");
  const auto = { ...experiment, compute: { ...experiment.compute, device: "auto" as const } };
  const onCard = await foresee("ssh-demo", auto, hostWith("/there", "H100"), "/nowhere/q.lock.json");
  expect(onCard.prepared.device).toBe("cuda");
  expect(onCard.prepared.environment).toMatch(/^\/there\/env\/.*-cuda$/);
  const onCpu = await foresee("ssh-demo", auto, hostWith("/there"), "/nowhere/q.lock.json");
  expect(onCpu.prepared.device).toBe("cpu");
});
