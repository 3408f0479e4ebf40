import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkConfig } from "../../checks/experiment.ts";
import type { HostFacts } from "../../checks/hardware.ts";
import { parseGpus } from "../../recipe/gpus.ts";

/** Every kind of bad experiment gives a clear error, by the function that `tuneup check` and `pulumi preview` both ask. */
type Config = Readonly<Record<string, unknown>>;
type Bad = readonly [what: string, change: Config, code: string | RegExp, property: string, text: RegExp];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-bad-"));
  const rows = {
    "torn.json": '[{"instruction": "a", ',
    "columns.json": JSON.stringify([{ output: "b" }]),
    "empty.jsonl": `${JSON.stringify({ instruction: "a", output: "" })}\n`,
    "roles.json": JSON.stringify([{ conversations: [{ from: "gpt", value: "a" }] }]),
  };
  for (const [name, text] of Object.entries(rows)) await writeFile(join(folder, name), text);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const h100: HostFacts = {
  platform: "linux",
  memoryBytes: 256e9,
  diskFreeBytes: 1e12,
  environment: null,
  gpus: parseGpus("0, GPU-1, NVIDIA H100 80GB HBM3, 81559, 580.159"),
};

const good = {
  model: { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" },
  datasets: [{ builtin: "general" }],
  train: { template: "qwen", finetuning_type: "lora", cutoff_len: 1024, per_device_train_batch_size: 1, bf16: true },
};

/** `train` and other maps are added to, lists and values replace. */
function withChange(change: Config): Config {
  const { train = {}, ...rest } = change;
  return { ...good, ...rest, train: { ...good.train, ...(train as object) } };
}

function check(config: Config) {
  return checkConfig(config, folder, { home: join(folder, "home"), pins: { schemaVersion: 1 } as never, host: h100 });
}

const off = { disable_gradient_checkpointing: true };
const train = (values: Config) => ({ train: values });
const file = (path: string, more: Config = {}) => ({ datasets: [{ path, ...more }] });
const model = (id: string, values: Config = {}) => ({ model: { source: "hub", id }, train: values });

const bad: readonly Bad[] = [
  // Keys.
  ["an unknown key", { modle: {} }, "config-unknown", "modle", /model/],
  ["an unknown key in a map", { serve: { prot: 1 } }, "config-unknown", "serve.prot", /port/],
  ["an unknown argument", train({ learning_rat: 1 }), "argument-unknown", "train.learning_rat", /learning_rate/],
  ["an argument of ours", train({ output_dir: "/x" }), "argument-owned", "train.output_dir", /tuneup/],
  ["a secret in train", train({ hf_hub_token: { secure: "v1:x" } }), "argument-secret", "train.hf_hub_token", /plain/],
  ["no template", { train: { template: undefined } }, /template-missing|argument-value/, "train.template", /./],
  ["no datasets", { datasets: [] }, "config-value", "datasets", /./],
  ["no model id", { model: { source: "hub" } }, "config-missing", "model.id", /required/],
  // Types.
  ["a word for a number", train({ learning_rate: "fast" }), "argument-value", "train.learning_rate", /number.*"fast"/],
  ["8gb for a number", train({ cutoff_len: "8gb" }), "argument-value", "train.cutoff_len", /"8gb"/],
  ["yes for true", train({ bf16: "yes" }), "argument-value", "train.bf16", /true or false.*"yes"/],
  ["a method that is none", train({ finetuning_type: "lorra" }), "argument-value", "train.finetuning_type", /lora/],
  ["a template that is none", train({ template: "qwenn" }), "argument-value", "train.template", /qwen/],
  ["a port beyond all", { serve: { port: 70_000 } }, "config-value", "serve.port", /70000/],
  ["a negative budget", { budget: { usd: -1 } }, "config-value", "budget.usd", /-1/],
  // What does not go together.
  [
    "freeze of 4 bit",
    train({ finetuning_type: "freeze", quantization_bit: 4 }),
    /incompatible/,
    "train.quantization_bit",
    /./,
  ],
  ["evaluation without rows", train({ eval_strategy: "steps" }), /incompatible/, "train.val_size", /eval/],
  ["bf16 and fp16", train({ fp16: true }), /incompatible/, "train.fp16", /./],
  ["the best without evaluation", { serve: { checkpoint: "best" } }, "best-checkpoint", "serve.checkpoint", /eval/],
  [
    "a rank above vLLM's",
    { serve: { engine: "vllm" }, train: { lora_rank: 1024 } },
    "serving-incompatible",
    "train.lora_rank",
    /1024/,
  ],
  [
    "early stopping without evaluation",
    train({ early_stopping_steps: 3 }),
    /incompatible/,
    "train.early_stopping_steps",
    /evaluation/,
  ],
  [
    "DoRA on vLLM",
    { serve: { engine: "vllm" }, train: { use_dora: true } },
    "serving-incompatible",
    "train.use_dora",
    /vllm/,
  ],
  ["a template of another family", train({ template: "llama3" }), "template-family", "train.template", /qwen.*llama3/],
  ["a model that sees", model("Qwen/Qwen2.5-VL-7B-Instruct"), "model-not-text", "model.id", /VL/],
  ["a model that hears", model("Qwen/Qwen2-Audio-7B-Instruct"), "model-not-text", "model.id", /Audio/],
  [
    "a cutoff over the positions",
    train({ cutoff_len: 65_536 }),
    "cutoff-positions",
    "train.cutoff_len",
    /65536.*32768/,
  ],
  // Data.
  ["a file that is not there", file("missing.json"), /./, "datasets.0", /missing\.json/],
  ["a torn file", file("torn.json"), /./, "datasets.0", /torn\.json/],
  ["a missing column", file("columns.json"), /./, "datasets.0", /instruction/],
  ["an empty answer", file("empty.jsonl"), /./, "datasets.0", /empty\.jsonl/],
  ["roles that don't alternate", file("roles.json", { formatting: "sharegpt" }), /./, "datasets.0", /roles\.json/],
  [
    "identity without a name",
    { datasets: [{ builtin: "identity", author: "us" }] },
    "config-missing",
    "datasets.0.name",
    /./,
  ],
  [
    "an address without sha256",
    { datasets: [{ url: "https://x/y.json" }] },
    "config-missing",
    "datasets.0.sha256",
    /./,
  ],
  // Weights.
  ["a model folder that is none", { model: { source: "path", id: "nowhere" } }, /weights/, "model.id", /nowhere/],
  ["a quantized base", model("Qwen/Qwen2.5-7B-Instruct-AWQ"), "variant-unoffered", "model.id", /AWQ/],
  // What is too much.
  [
    "batch 8 without checkpointing and Liger",
    train({ ...off, per_device_train_batch_size: 8 }),
    "memory",
    "train.per_device_train_batch_size",
    /89\.\d GB.*H100/,
  ],
  [
    "full training of 7B",
    train({ finetuning_type: "full" }),
    "memory",
    "train.per_device_train_batch_size",
    /123\.\d GB/,
  ],
  [
    "7B on a T4",
    { compute: { gpu: "T4" }, train: { bf16: false, fp16: true } },
    "memory",
    "train.per_device_train_batch_size",
    /T4 has 16\.1 GB/,
  ],
  ["bf16 on a V100", { compute: { gpu: "V100-32GB" } }, "bf16-unsupported", "train.bf16", /V100.*7\.0/],
  ["a card that nobody knows", { compute: { gpu: "H1OO" } }, "card-unknown", "compute.gpu", /"H1OO"/],
  [
    "72B on a free disk",
    { ...model("Qwen/Qwen2.5-72B-Instruct"), compute: { gpuMemoryGiB: 200, gpu: "H200" } },
    "disk-budget",
    "budget.diskGB",
    /100 GB.*145\.4 GB/,
  ],
  [
    "days for a budget of an hour",
    { budget: { hours: 1 }, train: { max_steps: 100_000 } },
    /time-budget/,
    "budget.hours",
    /1 h/,
  ],
  [
    "a price over the budget",
    { budget: { usd: 1 }, compute: { pricePerHour: 4 }, train: { max_steps: 100_000 } },
    /price-budget/,
    "budget.usd",
    /1 USD/,
  ],
  ["a budget without a price", { budget: { usd: 1 } }, "price-unknown", "budget.usd", /pricePerHour|hour costs/],
];

test("the good experiment that all of them are changes of has no error", async () => {
  expect((await check(good)).filter(({ level }) => level === "error")).toEqual([]);
});

test("there are at least forty", () => {
  expect(bad.length).toBeGreaterThanOrEqual(40);
});

test.each(bad)("%s", async (_what, change, code, property, text) => {
  const errors = (await check(withChange(change))).filter(({ level }) => level === "error");
  const found = errors.find(
    (error) => error.property === property || error.property?.startsWith(`${property}.`) === true,
  );
  expect(errors, `no error at ${property}`).toContain(found);
  expect(found?.code).toMatch(code);
  expect(`${found?.message ?? ""} ${found?.next ?? ""}`).toMatch(text);
  // A sentence: it ends, and names no code of ours.
  expect(found?.message).toMatch(/[.?!]$/);
});
