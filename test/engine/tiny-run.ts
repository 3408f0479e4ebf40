import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runPaths } from "../../agent/runs/paths.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { layoutOf } from "../../recipe/layout.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/** What tiny runs in one data directory share. */
export interface TinyStage {
  /** The environment's Python. */
  readonly python: string;
  /** Folder of the tiny model. */
  readonly model: string;
  /** Folder of the dataset `general`, with its dataset_info.json. */
  readonly datasets: string;
}

/** The tiny model and the dataset `general` in `home`. */
export async function tinyStage(home: string): Promise<TinyStage> {
  const python = await environmentPython(home);
  const model = await tinyModel(home, python);
  const datasets = join(home, "datasets", "tiny");
  await mkdir(datasets, { recursive: true });
  await writeFile(join(datasets, "general.json"), JSON.stringify(general));
  await writeFile(join(datasets, "dataset_info.json"), JSON.stringify({ general: { file_name: "general.json" } }));
  return { python, model, datasets };
}

/** LoRA on the CPU; `train` adds to its arguments and replaces them. `dataDirectory`: of the host that trains. */
export function tinySpec(
  { python, model, datasets }: TinyStage,
  {
    run,
    dataDirectory,
    train,
  }: { readonly run: string; readonly dataDirectory: string; readonly train: RunSpec["arguments"] },
): RunSpec {
  return {
    schemaVersion: 1,
    experiment: "tiny",
    run,
    arguments: {
      stage: "sft",
      do_train: true,
      finetuning_type: "lora",
      lora_rank: 4,
      template: "qwen",
      learning_rate: 1e-3,
      logging_steps: 1,
      save_strategy: "steps",
      bf16: false,
      use_cpu: true,
      dataloader_pin_memory: false,
      seed: 42,
      model_name_or_path: model,
      dataset: "general",
      dataset_dir: datasets,
      output_dir: runPaths(layoutOf(dataDirectory), run).output,
      ...train,
    },
    environment: dirname(dirname(python)),
    device: "cpu",
    artifact: "adapter",
    config: {},
  };
}
