import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { environmentEnsure } from "../../agent/environment/commands.ts";
import { environmentLock } from "../../agent/environment/identity.ts";
import { runDeclare, runWait } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { layoutOf } from "../../recipe/layout.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { variantsFor } from "../../recipe/variants.ts";
import { collect, killRun } from "../agent/runs/harness.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { tinyModel } from "../fixtures/tiny-model.ts";

/** The cheapest variant for real: installed by uv from its lock, imported by the self-test, and trained with. */
const train = { finetuning_type: "full", use_badam: true, badam_mode: "layer", badam_switch_interval: 2 } as const;
const run = "badam-1";
let home: TestHome;

beforeAll(async () => (home = await makeTestHome({ shared: ["tools"] })));
afterAll(async () => {
  await killRun(runPaths(layoutOf(home.home), run));
  await home.remove();
});

function specOf(environment: string, model: string): RunSpec {
  const plain = { stage: "sft", do_train: true, template: "qwen", cutoff_len: 64, max_steps: 3, logging_steps: 1 };
  const cpu = { bf16: false, use_cpu: true, dataloader_pin_memory: false };
  const paths = {
    model_name_or_path: model,
    dataset: "general",
    dataset_dir: join(home.home, "datasets", "tiny"),
    output_dir: runPaths(layoutOf(home.home), run).output,
  };
  const rates = { per_device_train_batch_size: 2, learning_rate: 1e-3, include_num_input_tokens_seen: true };
  const saves = { save_strategy: "steps", save_steps: 3, save_total_limit: 1 };
  return {
    schemaVersion: 1,
    experiment: "badam",
    run,
    arguments: { ...plain, ...cpu, ...rates, ...saves, ...paths, ...train },
    environment,
    device: "cpu",
    artifact: "weights",
    config: {},
  };
}

test("an environment with BAdam is made from its lock and trains with it", async () => {
  const extras = variantsFor(train);
  expect(extras).toEqual(["badam"]);
  const input = { dataDirectory: home.home, device: "cpu" as const, extras };
  const { path, record, created } = await environmentEnsure(input, collect());
  expect({ created, lock: record.lock }).toEqual({ created: true, lock: environmentLock(["badam"]) });
  const datasets = join(home.home, "datasets", "tiny");
  await mkdir(datasets, { recursive: true });
  await writeFile(join(datasets, "general.json"), JSON.stringify(general));
  await writeFile(join(datasets, "dataset_info.json"), JSON.stringify({ general: { file_name: "general.json" } }));
  const model = await tinyModel(sharedHome);
  await runDeclare({ dataDirectory: home.home, spec: specOf(path, model) }, collect());
  const { status } = await runWait({ dataDirectory: home.home, run }, collect());
  expect(status).toMatchObject({ state: "complete", step: 3, totalSteps: 3 });
  // The optimizer says itself that it is the one that trains.
  expect(await readFile(runPaths(layoutOf(home.home), run).log, "utf8")).toMatch(
    /Using BAdam optimizer with layer-wise update/,
  );
});
