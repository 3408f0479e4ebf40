import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { checkConfig } from "../../checks/experiment.ts";
import type { HostFacts } from "../../checks/hardware.ts";
import { checkArguments, ownedArguments, type TrainArguments } from "../../recipe/arguments.ts";
import { type CompatibilityContext, parserFaults } from "../../recipe/compatibility/index.ts";
import { readExperiment } from "../../recipe/experiment.ts";
import { parseGpus } from "../../recipe/gpus.ts";
import { importTraining } from "../../recipe/import/import.ts";
import type { ImportWorld } from "../../recipe/import/world.ts";
import { renderTraining } from "../../recipe/render.ts";
import { judgeArguments } from "../fixtures/judge-arguments.ts";
import { sharedHome } from "../fixtures/home.ts";
import { environmentPython } from "../fixtures/tiny-model.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const examples = join(root, "test/fixtures/llamafactory-examples");
const demos = ["alpaca_en_demo", "alpaca_zh_demo", "mllm_demo", "dpo_en_demo", "kto_en_demo", "c4_demo"];
const dataInfo = JSON.stringify(Object.fromEntries(demos.map((name) => [name, { file_name: `${name}.json` }])));

const world: ImportWorld = {
  exists: existsSync,
  read: (path) => {
    if (path === "lf/dataset_info.json") return dataInfo;
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  },
  place: (path) => path,
};

const paths = { weights: "/nowhere/weights", datasets: "/nowhere/datasets", output: "/nowhere/output" };
const cuda: CompatibilityContext = { device: "cuda", gpus: 1 };
const torchrun: CompatibilityContext = { device: "cuda", gpus: 2, distributed: true };

type Values = Readonly<Record<string, unknown>>;

const valuesOf = (path: string): Values => parse(readFileSync(path, "utf8")) as Values;

/** The stack file that `tuneup import` makes of a training file, as its config. */
function imported(path: string): Values {
  const answers = { name: "Ada", author: "us", hub: "modelscope", dataDirectory: "lf" } as const;
  const datasets = { med: "data/med.json", math: "data/math.json" };
  const result = importTraining([{ path, text: readFileSync(path, "utf8") }], { ...answers, datasets }, world);
  if (!("text" in result)) throw new Error(result.questions.map(({ about }) => about).join(" "));
  const { config } = parse(result.text) as { config: Values };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace(/^tuneup:/, ""), value]));
}

/** A file's arguments as LLaMA-Factory's parser reads them; a DeepSpeed file lies in the examples' own folder. */
function original(values: Values): TrainArguments {
  const { deepspeed } = values;
  const found = typeof deepspeed === "string" ? { deepspeed: deepspeed.replace(/^examples/, examples) } : {};
  // The folder would be made here.
  return { ...values, ...found, output_dir: paths.output };
}

let python: string;

beforeAll(async () => {
  python = await environmentPython(sharedHome);
});

describe("LLaMA-Factory's published examples", () => {
  const trainings = readdirSync(examples, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".yaml") && "dataset" in valuesOf(join(examples, file)))
    .sort();

  test("are imported, and our verdict is that of their own parser", async () => {
    expect(trainings.length).toBeGreaterThanOrEqual(49);
    const sets = trainings.flatMap((name) =>
      [cuda, torchrun].map((context) => ({ name, context, arguments: original(valuesOf(join(examples, name))) })),
    );
    const verdicts = await judgeArguments(python, sets);
    const differences = sets.flatMap(({ name, context }, index) => {
      const train = imported(join(examples, name))["train"] as Values;
      const checked = checkArguments(train);
      const rendered = renderTraining(checked.arguments, ["a"], paths, "cuda");
      const mine = [...checked.faults, ...parserFaults(rendered, context)].map(({ message }) => message);
      const theirs = verdicts[index];
      return theirs?.accepted === (mine.length === 0) ? [] : [{ name, context, theirs, mine }];
    });
    expect(differences).toEqual([]);
  });

  test("are refused in preview beyond that for what the parser does not look at, each for its reason", () => {
    const refused = trainings.flatMap((name) => {
      const codes = new Set((readExperiment(imported(join(examples, name))).faults ?? []).map(({ code }) => code));
      return codes.size === 0 ? [] : [[name, [...codes].sort().join()] as const];
    });
    expect(Object.fromEntries(refused)).toEqual({
      // Qwen-VL: text models only.
      "ascend/qwen3vlmoe_full_sft_fsdp2.yaml": "model-not-text",
      "ascend/qwen3vlmoe_lora_sft_fsdp.yaml": "model-not-text",
      "extras/oft/qwen2_5vl_oft_sft.yaml": "model-not-text",
      "train_full/qwen3vl_full_sft.yaml": "arguments-incompatible,model-not-text",
      "train_lora/qwen3vl_lora_dpo.yaml": "model-not-text",
      "train_lora/qwen3vl_lora_sft.yaml": "model-not-text",
      // DeepSpeed needs torchrun, and the local target starts one process: the parser refuses it there as well.
      "extras/asft/llama2_full_asft.yaml": "arguments-incompatible",
      "extras/asft/qwen2_full_asft.yaml": "arguments-incompatible",
      "extras/fp8/llama3_fp8_deepspeed_sft.yaml": "arguments-incompatible",
      "train_full/qwen3_full_sft.yaml": "arguments-incompatible",
      "train_lora/qwen3_lora_sft_ds3.yaml": "arguments-incompatible",
      // An argument that LLaMA-Factory 0.9.5 itself does not take: its own parser refuses the file.
      "extras/fp8/llama3_fp8_fsdp_sft.yaml": "argument-unknown",
      // For the Megatron trainer (USE_MCA=1), which has arguments of its own: the parser refuses them without it.
      "megatron/qwen2_vl_full.yaml": "argument-unknown",
      "megatron/qwen3_moe_full.yaml": "argument-unknown",
      // A reward model gives scores, and the chat endpoint is on by default.
      "train_lora/qwen3_lora_reward.yaml": "serving-incompatible",
      // Pre-training needs no template, but the chat endpoint does.
      "train_lora/qwen3_lora_pretrain.yaml": "template-missing",
    });
  });
});

test("LLaMA-Factory's published examples are refused in tuneup check for what a machine with four H100 can't do", async () => {
  const cards = [0, 1, 2, 3].map((index) => `${index}, GPU-${index}, NVIDIA H100 80GB HBM3, 81559, 580.159`);
  const host: HostFacts = {
    platform: "linux",
    arch: "x64",
    python: { path: "/usr/bin/python3", version: "3.13.1" },
    memoryBytes: 1e12,
    diskFreeBytes: 4e12,
    environment: null,
    gpus: parseGpus(cards.join("\n")),
  };
  const context = { home: "/nowhere/home", pins: { schemaVersion: 1, datasets: {} }, host } as const;
  const files = readdirSync(examples, { recursive: true, encoding: "utf8" });
  const refused: Record<string, string> = {};
  for (const name of files.filter((file) => file.endsWith(".yaml") && "dataset" in valuesOf(join(examples, file)))) {
    const config = imported(join(examples, name));
    // What the text alone tells is pinned above.
    if (readExperiment(config).faults !== undefined) continue;
    const findings = await checkConfig(config, "/nowhere", context);
    // LLaMA-Factory's demo data is not shipped here: its dataset_info.json can't be read.
    const errors = findings.filter(({ level, code }) => level === "error" && code !== "dataset-info");
    if (errors.length > 0) refused[name] = [...new Set(errors.map(({ code }) => code))].sort().join();
  }
  const tooLarge = "disk-budget,memory";
  const noVariant = "variant-unoffered";
  expect(refused).toEqual({
    // Full training of 30B and more; FSDP, which would share it among cards, is not estimated.
    "ascend/qwen3_full_sft_fsdp2.yaml": tooLarge,
    "ascend/qwen3moe_full_sft_fsdp.yaml": tooLarge,
    // The base is a folder that another script makes.
    "extras/llama_pro/llama3_freeze_sft.yaml": "weights-invalid",
    // Packages or quantized bases that no environment of ours has.
    "extras/mod/llama3_full_sft.yaml": noVariant,
    "extras/qoft/llama3_oft_sft_awq.yaml": noVariant,
    "extras/qoft/llama3_oft_sft_gptq.yaml": noVariant,
    "ktransformers/train_lora/deepseek_v2_lora_sft_kt.yaml": noVariant,
    "ktransformers/train_lora/deepseek_v3_lora_sft_kt.yaml": noVariant,
    "ktransformers/train_lora/qwen3_5moe_lora_sft_kt.yaml": noVariant,
    "ktransformers/train_lora/qwen3moe_lora_sft_kt.yaml": noVariant,
    "train_qlora/llama3_lora_sft_aqlm.yaml": noVariant,
    "train_qlora/llama3_lora_sft_awq.yaml": noVariant,
    "train_qlora/llama3_lora_sft_gptq.yaml": noVariant,
  });
});

describe("the tutorial's file", () => {
  /** Arguments in which the rendered file differs from the tutorial's: what we own, and where our defaults differ. */
  const differing = {
    ...Object.fromEntries(
      ["model_name_or_path", "dataset", "dataset_dir", "output_dir", "overwrite_output_dir"].map((name) => [
        name,
        "owned",
      ]),
    ),
    include_num_input_tokens_seen: "owned",
    // It is the dataset folder where it is not given.
    media_dir: "owned",
    // Without it checkpoints fill the disk.
    save_total_limit: "default",
  };

  test("has equal arguments when it is imported, rendered and parsed by LLaMA-Factory", async () => {
    const path = join(root, "test/fixtures/tutorial.yaml");
    const { experiment, faults } = readExperiment(imported(path));
    expect(faults).toBeUndefined();
    const rendered = renderTraining(experiment!.train, ["identity", "hwtcm"], paths, "cuda");
    const [theirs, mine] = await judgeArguments(python, [
      { name: "theirs", arguments: valuesOf(path) as TrainArguments, context: cuda, show: true },
      { name: "ours", arguments: rendered, context: cuda, show: true },
    ]);
    const names = Object.keys(theirs!.arguments!);
    expect(names.length).toBeGreaterThan(300);
    const found = names.filter(
      (name) => JSON.stringify(theirs!.arguments![name]) !== JSON.stringify(mine!.arguments![name]),
    );
    expect(found.sort()).toEqual(Object.keys(differing).sort());
    for (const [name, why] of Object.entries(differing)) {
      if (why === "owned" && name !== "media_dir") expect(ownedArguments).toHaveProperty(name);
    }
  });
});
