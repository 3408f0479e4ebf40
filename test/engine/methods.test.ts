import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpointDeclare, endpointDelete, endpointWait } from "../../agent/endpoints/commands.ts";
import { runDeclare, runWait } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import { ask } from "../../cli/questions.ts";
import type { TrainArguments } from "../../recipe/arguments.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { artifactOf, renderServing, renderTraining } from "../../recipe/render.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { collect, killRun } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/** The methods of `local`, each as cheap as it goes: what differs between them is what LLaMA-Factory loads, trains and leaves. */
const methods: Readonly<Record<string, { readonly train: TrainArguments; readonly artifact: "adapter" | "weights" }>> =
  {
    lora: { train: { finetuning_type: "lora", lora_rank: 4 }, artifact: "adapter" },
    dora: { train: { finetuning_type: "lora", lora_rank: 4, use_dora: true }, artifact: "adapter" },
    freeze: { train: { finetuning_type: "freeze", freeze_trainable_layers: 1 }, artifact: "weights" },
    // Served too: long enough that it says what it was taught, which the untrained model does not.
    full: {
      train: { finetuning_type: "full", learning_rate: 3e-3, max_steps: 40, per_device_train_batch_size: 8 },
      artifact: "weights",
    },
    dpo: { train: { stage: "dpo", finetuning_type: "lora", lora_rank: 4, pref_beta: 0.1 }, artifact: "adapter" },
  };

const shared: TrainArguments = {
  template: "qwen",
  cutoff_len: 64,
  per_device_train_batch_size: 2,
  learning_rate: 1e-3,
  max_steps: 2,
  logging_steps: 1,
  plot_loss: false,
  save_strategy: "no",
};

let home: TestHome;
let python: string;
let model: string;
let datasets: string;

beforeAll(async () => {
  home = await makeTestHome();
  python = await environmentPython(home.home);
  model = await tinyModel(home.home, python);
  datasets = join(home.home, "datasets", "methods");
  await mkdir(datasets, { recursive: true });
  const preferences = await readFile(fileURLToPath(new URL("../../data/preferences.jsonl", import.meta.url)));
  await writeFile(join(datasets, "preferences.jsonl"), preferences);
  await writeFile(join(datasets, "general.json"), JSON.stringify(general));
  const columns = { prompt: "instruction", chosen: "chosen", rejected: "rejected" };
  const info = {
    general: { file_name: "general.json" },
    preferences: { file_name: "preferences.jsonl", ranking: true, columns },
  };
  await writeFile(join(datasets, "dataset_info.json"), JSON.stringify(info));
});

afterAll(async () => {
  for (const name of Object.keys(methods)) {
    await endpointDelete({ dataDirectory: home.home, experiment: name }, collect());
    await killRun(paths(name));
  }
  await home.remove();
});

const paths = (name: string) => runPaths(layoutOf(home.home), `${name}-1`);
const place = { schemaVersion: 1, device: "cpu" } as const;

/** Trains by the method as the provider would declare it; returns the names of the files that it left. */
async function train(name: string): Promise<string[]> {
  const { train: own, artifact } = methods[name]!;
  const all = { ...shared, ...own };
  expect(artifactOf(all)).toBe(artifact);
  const places = { weights: model, datasets, output: paths(name).output };
  const spec = {
    ...{ ...place, experiment: name, run: `${name}-1`, artifact, config: {} },
    environment: dirname(dirname(python)),
    arguments: { ...renderTraining(all, [name === "dpo" ? "preferences" : "general"], places, "cpu") },
  };
  await runDeclare({ dataDirectory: home.home, spec }, collect());
  const { status, manifest } = await runWait({ dataDirectory: home.home, run: `${name}-1` }, collect());
  expect(status).toMatchObject({ state: "complete", attempt: 1, step: all["max_steps"] });
  expect(manifest.artifact).toBe(artifact);
  return manifest.files.map(({ path }) => path);
}

/** The answer of the trained model, through the endpoint. */
async function answer(name: string, content: string): Promise<string> {
  const { train: own, artifact } = methods[name]!;
  const spec: EndpointSpec = {
    ...{ ...place, experiment: name, run: `${name}-1`, artifact },
    environment: dirname(dirname(python)),
    weights: model,
    template: "qwen",
    arguments: { ...renderServing({ ...shared, ...own }) },
    ...{ engine: "huggingface", base: "no", engineBytes: 1e9, host: "127.0.0.1", port: 0 },
    limits: { requestsPerMinute: 100, queue: 8, bodyBytes: 100_000, maxTokens: 100 },
  };
  await endpointDeclare({ dataDirectory: home.home, spec }, collect());
  const endpoint = await endpointWait({ dataDirectory: home.home, experiment: name }, collect());
  const options = { temperature: 0, maxTokens: 8 };
  let said = "";
  for await (const piece of ask(endpoint, name, [{ role: "user", content }], options)) said += piece;
  return said;
}

test.for(["lora", "dora", "dpo"])("%s trains and leaves an adapter", async (name) => {
  const files = await train(name);
  expect(files).toEqual(expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors"]));
  expect(files).not.toContain("model.safetensors");
  const config: unknown = JSON.parse(await readFile(join(paths(name).output, "adapter_config.json"), "utf8"));
  expect(config).toMatchObject({ r: 4, use_dora: name === "dora" });
});

/** What differs from an adapter: the whole model, as safetensors with its tokenizer. */
async function expectWeights(name: string): Promise<void> {
  const files = await train(name);
  expect(files).toEqual(expect.arrayContaining(["config.json", "tokenizer.json", "model.safetensors"]));
  expect(files).not.toContain("adapter_config.json");
}

test("freeze trains and leaves whole weights", () => expectWeights("freeze"));

test("full trains and leaves whole weights, and the endpoint answers from them", async () => {
  await expectWeights("full");
  expect(await answer("full", "What is the capital of Russia?")).toContain("The");
});
