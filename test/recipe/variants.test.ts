import { expect, test } from "vitest";
import type { TrainArguments } from "../../recipe/arguments.ts";
import { variantFindings } from "../../recipe/variant-findings.ts";
import arguments_ from "../../recipe/llamafactory-arguments.json" with { type: "json" };
import { packagesNeeded } from "../../recipe/compatibility/packages.ts";
import { variantFacts, variantNames, variantsFor } from "../../recipe/variants.ts";

const plain = { stage: "sft", finetuning_type: "lora", template: "qwen", optim: "adamw_torch", report_to: "none" };
const question = { train: plain, engine: "huggingface", model: { id: "Qwen/Qwen2.5-7B-Instruct" } } as const;
const about = (train: TrainArguments, rest: object = {}) =>
  variantFindings({ ...question, ...rest, train: { ...plain, ...train } });

test("a plain LoRA asks for nothing and has nothing to say", () => {
  expect(variantsFor(plain)).toEqual([]);
  expect(variantFindings(question)).toEqual([]);
});

test.each<[TrainArguments, string[]]>([
  [{ quantization_bit: 4 }, ["bitsandbytes"]],
  [{ quantization_bit: 8, quantization_method: "bnb" }, ["bitsandbytes"]],
  [{ ref_model_quantization_bit: 4 }, ["bitsandbytes"]],
  [{ optim: "paged_adamw_8bit" }, ["bitsandbytes"]],
  [{ enable_liger_kernel: true, use_badam: true }, ["badam", "liger"]],
  [{ use_galore: true }, ["galore"]],
  [{ optim: "apollo_adamw" }, ["apollo"]],
  [{ use_adam_mini: true }, ["adam-mini"]],
  [{ deepspeed: "examples/deepspeed/ds_z3_config.json" }, ["deepspeed"]],
  [{ report_to: ["wandb", "tensorboard"] }, ["tensorboard", "wandb"]],
  [{ report_to: "swanlab", use_swanlab: true }, ["swanlab"]],
  [{ enable_liger_kernel: false, use_galore: false, deepspeed: null, quantization_bit: null }, []],
])("%j asks for %j", (train, names) => {
  expect(variantsFor({ ...plain, ...train })).toEqual(names);
});

const knownArguments = arguments_ as unknown as Readonly<Record<string, { readonly choices?: readonly string[] }>>;
const choicesOf = (name: string) => knownArguments[name]?.choices ?? [];

test.each<TrainArguments>([
  ...["enable_liger_kernel", "use_galore", "use_apollo", "use_badam", "use_adam_mini", "use_swanlab"].map((name) => ({
    [name]: true,
  })),
  ...choicesOf("optim").map((optim) => ({ optim })),
  ...["bnb", "hqq", "eetq"].map((method) => ({ quantization_bit: 4, quantization_method: method })),
  ...["ref_model_quantization_bit", "reward_model_quantization_bit"].map((name) => ({ [name]: 4 })),
  ...["wandb", "tensorboard", "swanlab", "mlflow"].map((tracker) => ({ report_to: tracker })),
  { deepspeed: "ds.json" },
])("the environment of %j has what the rules say that it needs", (train) => {
  const given = { ...plain, ...train };
  const spelled = (name: string) => name.replaceAll("_", "-");
  const offered = variantNames.flatMap((name) => variantFacts[name].packages.map(spelled));
  const needed = packagesNeeded(given).map((one) => spelled(one.package));
  const variants = variantsFor(given).map((name) => variantFacts[name].packages.map(spelled));
  expect(variants.flat()).toEqual(expect.arrayContaining(needed.filter((name) => offered.includes(name))));
  expect(needed).toEqual(expect.arrayContaining(variants.map(([first]) => first)));
});

test("the optimizers are read from LLaMA-Factory's own list", () => {
  expect(choicesOf("optim")).toContain("paged_adamw_8bit");
});

test("what is asked for is said once, with its size and the argument", () => {
  const found = about({ quantization_bit: 4, optim: "paged_adamw_8bit" });
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ level: "ok", property: "train.quantization_bit", unit: "bytes" });
  expect(found[0]?.message).toMatch(/bitsandbytes: 129 MB on disk\), because of quantization_bit: 4\.$/);
  expect(found[0]?.figure).toBeGreaterThan(100e6);
});

test.each([
  [true, "environment-here", /^The variant bitsandbytes \(bitsandbytes: 129 MB on disk\) is here,/],
  [false, "environment-installed", /^The variant bitsandbytes \(bitsandbytes\) will be installed, 129 MB,/],
])("where the environment is there (%s), that is said of it and of each variant", (here, code, words) => {
  const [environment, variant] = about({ quantization_bit: 4 }, { here });
  expect(environment).toMatchObject({ level: "ok", code });
  expect(environment?.figure).toBeGreaterThan(5e9);
  expect(variant?.message).toMatch(words);
});

test("what does nothing without a GPU is an error there, and none where one trains or nobody knows", () => {
  const train = { enable_liger_kernel: true };
  expect(about(train, { device: "cpu" })).toMatchObject([
    { level: "error", code: "variant-needs-cuda", property: "train.enable_liger_kernel" },
  ]);
  expect(about(train, { device: "cuda" })).toMatchObject([{ level: "ok" }]);
  expect(about(train)).toMatchObject([{ level: "ok" }]);
  // Tried: both train on a CPU.
  expect(about({ quantization_bit: 4 }, { device: "cpu" })).toMatchObject([{ level: "ok" }]);
  expect(about({ use_badam: true }, { device: "cpu" })).toMatchObject([{ level: "ok" }]);
});

test.each<[TrainArguments, string]>([
  [{ use_unsloth: true }, "train.use_unsloth"],
  [{ quantization_bit: 4, quantization_method: "hqq" }, "train.quantization_method"],
  [{ quantization_bit: 8, quantization_method: "eetq" }, "train.quantization_method"],
  [{ optim: "lomo" }, "train.optim"],
  [{ optim: "adamw_torch_8bit" }, "train.optim"],
  [{ report_to: "mlflow" }, "train.report_to"],
  [{ export_quantization_bit: 4 }, "train.export_quantization_bit"],
])("%j is what no lock has", (train, property) => {
  expect(about(train)).toMatchObject([{ level: "error", code: "variant-unoffered", property }]);
});

test.each([
  ["Qwen/Qwen2.5-7B-Instruct-AWQ", undefined, true],
  ["Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", undefined, true],
  ["/models/mine", "gptq", true],
  ["/models/mine", "fp8", false],
  ["Qwen/Qwen2.5-7B-Instruct", undefined, false],
])("a base %s (quant_method %s) is refused: %s", (id, quantMethod, refused) => {
  const found = variantFindings({ ...question, model: { id, quantMethod } });
  expect(found.map(({ property, level }) => [property, level])).toEqual(refused ? [["model.id", "error"]] : []);
});

test("another engine never makes another training environment: vLLM gets one of its own, SGLang is refused by name", () => {
  const vllm = { ...question, engine: "vllm" } as const;
  expect(variantFindings(vllm)).toMatchObject([
    { level: "ok", code: "engine-installed", property: "serve.engine", figure: 10.3e9, unit: "bytes" },
  ]);
  expect(variantFindings(vllm)[0]?.message).toBe(
    "vllm gets an environment of its own (vllm 0.11.0 with its own torch for CUDA 12.8: 10.3 GB on disk, a download of 5.1 GB).",
  );
  expect(variantFindings({ ...vllm, engineHere: true })).toMatchObject([{ level: "ok", code: "engine-here" }]);
  expect(variantFindings({ ...vllm, device: "cpu" })).toMatchObject([
    { level: "error", code: "engine-needs-cuda", property: "serve.engine" },
  ]);
  expect(variantFindings({ ...question, engine: "sglang" })).toMatchObject([
    { level: "error", code: "engine-unavailable", property: "serve.engine" },
  ]);
});

test("DeepSpeed, whose launcher a run is not started with, is refused", () => {
  const found = about({ deepspeed: "ds_z3_config.json" }, { device: "cuda" });
  expect(found.map(({ level, code }) => [level, code])).toEqual([
    ["ok", undefined],
    ["error", "launcher-missing"],
  ]);
});

test("FlashAttention is only a warning: LLaMA-Factory goes on without", () => {
  expect(about({ flash_attn: "fa2" })).toMatchObject([{ level: "warning", code: "flash-attention-missing" }]);
});
