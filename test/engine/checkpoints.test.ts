import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runDeclare, runWait } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import type { TrainArguments } from "../../recipe/arguments.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { adapterFolder, layoutOf } from "../../recipe/layout.ts";
import { artifactOf, renderTraining, type TrainingExtras } from "../../recipe/render.ts";
import { collect, killRun } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

let home: TestHome;
let python: string;
let model: string;
let datasets: string;

beforeAll(async () => {
  home = await makeTestHome();
  python = await environmentPython(home.home);
  model = await tinyModel(home.home, python);
  datasets = join(home.home, "datasets", "checkpoints");
  await mkdir(datasets, { recursive: true });
  await writeFile(join(datasets, "general.json"), JSON.stringify(general));
  await writeFile(join(datasets, "dataset_info.json"), JSON.stringify({ general: { file_name: "general.json" } }));
});

afterAll(async () => {
  for (const run of ["best-1", "on-1", "on-2", "on-3"]) await killRun(paths(run));
  await home.remove();
});

const paths = (run: string) => runPaths(layoutOf(home.home), run);

const shared: TrainArguments = {
  template: "qwen",
  cutoff_len: 64,
  per_device_train_batch_size: 4,
  lora_rank: 4,
  max_steps: 6,
  logging_steps: 1,
  plot_loss: false,
};

/** Declares a run as the provider would. */
function declare(run: string, train: TrainArguments, adapter: string | undefined, extras: TrainingExtras) {
  const place = { weights: model, datasets, output: paths(run).output };
  const from = adapter === undefined ? {} : { adapter: adapterFolder(adapter, layoutOf(home.home)) };
  const all = { ...shared, ...train };
  const spec = {
    ...({ schemaVersion: 1, device: "cpu", experiment: "checkpoints", run, config: {} } as const),
    environment: dirname(dirname(python)),
    artifact: artifactOf(all),
    arguments: { ...renderTraining(all, ["general"], { ...place, ...from }, "cpu", extras) },
  };
  return runDeclare({ dataDirectory: home.home, spec }, collect());
}

test("the checkpoint with the lowest eval_loss is the result, and training goes on from it by the run's name", async () => {
  // A rate that spoils the model more with each step: what is best is not what is last.
  const spoiling = {
    learning_rate: 2,
    lr_scheduler_type: "constant",
    val_size: 0.2,
    eval_strategy: "steps",
    eval_steps: 3,
  };
  await declare("best-1", spoiling, undefined, { checkpoint: "best" });
  await runWait({ dataDirectory: home.home, run: "best-1" }, collect());
  const { output } = paths("best-1");
  const text = await readFile(join(output, "trainer_state.json"), "utf8");
  // Python writes them; a spoilt model's gradients have them.
  const state = JSON.parse(text.replace(/\b(NaN|Infinity)\b/g, "null")) as {
    readonly best_model_checkpoint: string;
    readonly log_history: readonly { readonly step: number; readonly eval_loss?: number }[];
  };
  const losses = state.log_history.filter((entry) => typeof entry.eval_loss === "number");
  const best = losses.reduce((a, b) => (a.eval_loss! <= b.eval_loss! ? a : b));
  expect(best.step).toBe(3);
  expect(state.best_model_checkpoint).toBe(join(output, `checkpoint-${best.step}`));
  const adapter = (folder: string) => readFile(join(folder, "adapter_model.safetensors"));
  expect(await adapter(output)).toEqual(await adapter(state.best_model_checkpoint));
  expect(await adapter(output)).not.toEqual(await adapter(join(output, "checkpoint-6")));

  await declare("on-1", { learning_rate: 1e-4, save_strategy: "no" }, "best-1", {});
  const { status } = await runWait({ dataDirectory: home.home, run: "on-1" }, collect());
  expect(status).toMatchObject({ state: "complete", attempt: 1 });
  expect(await readFile(paths("on-1").log, "utf8")).toContain(`Loaded adapter(s): ${output}`);
});

test("two adapters are merged under a new one", async () => {
  await declare("on-3", { max_steps: 2, save_strategy: "no", create_new_adapter: true }, "best-1, on-1", {});
  const { manifest } = await runWait({ dataDirectory: home.home, run: "on-3" }, collect());
  expect(manifest.artifact).toBe("adapter");
  expect(await readFile(paths("on-3").log, "utf8")).toContain("Merged 2 adapter(s)");
});

test("an adapter that is not there is refused before anything starts", async () => {
  await expect(declare("on-2", {}, "never-trained", {})).rejects.toMatchObject({
    code: "adapter-missing",
    property: "model.adapter",
  });
});
