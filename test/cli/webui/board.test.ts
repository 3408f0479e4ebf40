import { mkdir, mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { boardConfig } from "../../../cli/webui/board.ts";
import { boardEnvironment, prepareFolder } from "../../../cli/webui/webui.ts";
import type { CommandOutput } from "../../../recipe/protocol.ts";

const all = {
  ...{ stage: "dpo", do_train: true, finetuning_type: "lora", template: "qwen", lora_rank: 8, lora_target: "all" },
  ...{ cutoff_len: 1024, per_device_train_batch_size: 1, learning_rate: 1e-4, num_train_epochs: 3, bf16: true },
  ...{ optim: "adamw_torch", pref_beta: 0.2, model_name_or_path: "/models/qwen", output_dir: "/runs/mine-1/output" },
  ...{ dataset: "identity,faq", dataset_dir: "/datasets/abc", max_samples: 1000, preprocessing_num_workers: 4 },
};

test("a run's arguments fill LlamaBoard's elements, and what it has none for goes into its extra arguments", () => {
  const config = boardConfig({ arguments: all });
  expect(config).toMatchObject({
    "top.template": "qwen",
    "top.finetuning_type": "lora",
    "train.training_stage": "DPO",
    "train.dataset": ["identity", "faq"],
    "train.batch_size": 1,
    "train.learning_rate": "0.0001",
    "train.max_samples": "1000",
    "train.compute_type": "bf16",
    "train.lora_rank": 8,
  });
  expect(JSON.parse(String(config["train.extra_args"]))).toEqual({
    lora_target: "all",
    optim: "adamw_torch",
    pref_beta: 0.2,
    preprocessing_num_workers: 4,
    trust_remote_code: false,
  });
});

test("what LlamaBoard would add by itself is taken back", () => {
  const extra: unknown = JSON.parse(String(boardConfig({ arguments: { stage: "sft" } })["train.extra_args"]));
  expect(extra).toEqual({ trust_remote_code: false, preprocessing_num_workers: null, max_samples: null });
});

test("its folder has the data, the model and a copy of the adapter; a second time it is the same", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-board-"));
  const output = join(folder, "output");
  await mkdir(join(output, "checkpoint-2"), { recursive: true });
  await writeFile(join(output, "adapter_config.json"), "{}");
  const run = {
    spec: { run: "mine-1", arguments: { ...all, output_dir: output } },
    manifest: { artifact: "adapter" },
  } as unknown as NonNullable<CommandOutput<"run-read">>;
  const work = join(folder, "work");
  expect(await prepareFolder(work, "mine", run)).toBe("mine.yaml");
  expect(await prepareFolder(work, "mine", run)).toBe("mine.yaml");
  expect(await readlink(join(work, "data"))).toBe("/datasets/abc");
  const user: unknown = parse(await readFile(join(work, "llamaboard_cache/user_config.yaml"), "utf8"));
  expect(user).toMatchObject({ last_model: "Custom", path_dict: { Custom: "/models/qwen" } });
  await writeFile(join(work, "saves/Custom/lora/mine-1/adapter_config.json"), "changed");
  expect(await readFile(join(output, "adapter_config.json"), "utf8")).toBe("{}");
  await rm(folder, { recursive: true });
});

test("its process is bound to loopback, sends nothing, and finds its commands in the environment", () => {
  const variables = boardEnvironment({
    ...{ environment: "/data/env/abc-cpu", packages: "/data/webui/packages-1", port: 7860, device: "cpu" },
  });
  expect(variables).toMatchObject({
    GRADIO_SERVER_NAME: "127.0.0.1",
    GRADIO_SERVER_PORT: "7860",
    GRADIO_ANALYTICS_ENABLED: "False",
    PYTHONNOUSERSITE: "1",
    PYTHONPATH: "/data/webui/packages-1",
  });
  expect(variables["PATH"]).toMatch(/^\/data\/env\/abc-cpu\/bin:/);
});
