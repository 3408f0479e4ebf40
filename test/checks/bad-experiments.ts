/** Experiments that must be refused: what is changed, the code, the key at fault, and what the sentence says. */
export type Config = Readonly<Record<string, unknown>>;
export type Bad = readonly [what: string, change: Config, code: string | RegExp, property: string, text: RegExp];

/** The experiment that all of them are changes of. */
export const good = {
  model: { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" },
  datasets: [{ builtin: "general" }],
  train: { template: "qwen", finetuning_type: "lora", cutoff_len: 1024, per_device_train_batch_size: 1, bf16: true },
};

/** `train` and other maps are added to, lists and values replace. */
export function withChange(change: Config): Config {
  const { train = {}, ...rest } = change;
  return { ...good, ...rest, train: { ...good.train, ...(train as object) } };
}

/** Files that they name, by name. */
export const badFiles: Readonly<Record<string, string>> = {
  "torn.json": '[{"instruction": "a", ',
  "columns.json": JSON.stringify([{ output: "b" }]),
  "empty.jsonl": `${JSON.stringify({ instruction: "a", input: "", output: "" })}\n`,
  "roles.json": JSON.stringify([{ conversations: [{ from: "gpt", value: "a" }] }]),
  "good.json": JSON.stringify([{ instruction: "a", input: "", output: "b" }]),
  "messages.jsonl": `${JSON.stringify({
    messages: [
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
    ],
  })}\n`,
  "chats.json": JSON.stringify(
    [
      {
        conversations: [
          { from: "human", value: "{" },
          { from: "gpt", value: "b" },
        ],
      },
    ],
    null,
    2,
  ),
  "rows.arrow": "ARROW1",
  "pointer.json": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
  "dataset_info.json": JSON.stringify({ pairs: { file_name: "good.json", ranking: true } }),
};

const off = { disable_gradient_checkpointing: true };
const train = (values: Config) => ({ train: values });
const file = (path: string, more: Config = {}) => ({ datasets: [{ path, ...more }] });
const url = (address: string) => ({ datasets: [{ url: address, sha256: "0".repeat(64) }] });
const dpo = (dataset: Config) => ({ datasets: [dataset], train: { stage: "dpo" } });
const model = (id: string, values: Config = {}) => ({ model: { source: "hub", id }, train: values });

export const bad: readonly Bad[] = [
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
  ["a file that is not there", file("missing.json"), "dataset-missing", "datasets.0", /missing\.json/],
  ["a torn file", file("torn.json"), "dataset-malformed", "datasets.0", /torn\.json/],
  ["a missing column", file("columns.json"), "dataset-column", "datasets.0", /instruction/],
  ["an empty answer", file("empty.jsonl"), "dataset-answer-empty", "datasets.0", /empty\.jsonl/],
  [
    "roles that don't alternate",
    file("roles.json", { formatting: "sharegpt" }),
    "dataset-messages",
    "datasets.0",
    /roles\.json/,
  ],
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
  ["conversations as alpaca", file("chats.json"), "dataset-formatting", "datasets.0", /`formatting: sharegpt`/],
  ["messages as alpaca", file("messages.jsonl"), "dataset-formatting", "datasets.0", /tags: \{role_tag: role/],
  ["a Git LFS pointer", file("pointer.json"), "dataset-lfs-pointer", "datasets.0", /git lfs pull/],
  ["a torn Arrow file", file("rows.arrow"), "dataset-malformed", "datasets.0", /save_to_disk/],
  ["an address without an ending", url("https://x/y"), "config-value", "datasets.0.url", /ending/],
  ["dpo on plain data", dpo({ path: "good.json" }), "dataset-stage", "datasets.0", /ranking: true/],
  ["dpo on a built-in dataset", dpo({ builtin: "general" }), "dataset-stage", "datasets.0", /stage dpo/],
  ["preference data in sft", file("good.json", { ranking: true }), "dataset-stage", "datasets.0", /stage: dpo/],
  [
    "preference data of a dataset_info.json in sft",
    { datasets: [{ datasetInfo: "dataset_info.json", names: ["pairs"] }] },
    "dataset-stage",
    "datasets.0",
    /pairs.*stage: dpo/,
  ],
  ["kto without tags", { ...file("good.json"), train: { stage: "kto" } }, "dataset-stage", "datasets.0", /kto_tag/],
  ["all rows held back", train({ val_size: 56 }), "validation-rows", "train.val_size", /is 56.*all \d+ rows/],
  // Modules.
  ["a module that is none", train({ lora_target: "q_porj" }), "module-unknown", "train.lora_target", /q_proj/],
  ["peft's word for all", train({ lora_target: "all-linear" }), "module-unknown", "train.lora_target", /takes all/],
  ["all and another", train({ lora_target: "all,q_proj" }), "module-unknown", "train.lora_target", /alone/],
  [
    "an extra module that is none",
    train({ additional_target: "embed_token" }),
    "module-unknown",
    "train.additional_target",
    /embed_tokens/,
  ],
  [
    "a layer's part that is none",
    train({ finetuning_type: "freeze", freeze_trainable_modules: "mpl" }),
    "module-unknown",
    "train.freeze_trainable_modules",
    /mlp/,
  ],
  // Addresses and other values.
  [
    "an address to bind that is none",
    { serve: { host: "not an address" } },
    "config-value",
    "serve.host",
    /IP address/,
  ],
  ["an IP address beyond all", { serve: { host: "300.1.1.1" } }, "config-value", "serve.host", /IP address/],
  ["no GPU", { compute: { gpus: 0 } }, "config-value", "compute.gpus", /above 0, got 0/],
  [
    "a teardown that is none",
    { teardown: "never" },
    "config-value",
    "teardown.when",
    /keep, after-training, after-idle, got "never"/,
  ],
  [
    "a reward model that is not there",
    { train: { stage: "ppo", reward_model: "/nowhere/reward" } },
    "reward-model-missing",
    "train.reward_model",
    /\/nowhere\/reward/,
  ],
  ["a model without its owner", model("Qwen2.5-7B-Instruct"), "model-id", "model.id", /OWNER\/NAME/],
  // Weights.
  [
    "a model folder that is none",
    { model: { source: "path", id: "nowhere" } },
    "weights-invalid",
    "model.id",
    /nowhere/,
  ],
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

/** Numbers that LLaMA-Factory's parser lets pass, and what they go with. */
export const numbersOutside: readonly (readonly [name: string, value: number, more?: Config])[] = [
  ["per_device_train_batch_size", 0],
  ["per_device_train_batch_size", -2],
  ["per_device_eval_batch_size", 0],
  ["gradient_accumulation_steps", 0],
  ["num_train_epochs", 0],
  ["num_train_epochs", -1, { max_steps: -1 }],
  ["warmup_ratio", 5],
  ["learning_rate", -1],
  ["learning_rate", 0],
  ["weight_decay", -0.1],
  ["adam_beta1", 2],
  ["adam_beta2", 1],
  ["max_grad_norm", -1],
  ["seed", -1],
  ["dataloader_num_workers", -1],
  ["logging_steps", -1],
  ["save_steps", 0],
  ["eval_steps", -5, { eval_strategy: "steps", val_size: 0.1 }],
  ["save_total_limit", 0],
  ["cutoff_len", 0],
  ["cutoff_len", -5],
  ["max_samples", 0],
  ["val_size", -1],
  ["preprocessing_num_workers", 0],
  ["lora_rank", 0],
  ["lora_rank", -8],
  ["lora_dropout", 1.5],
  ["freeze_trainable_layers", 0, { finetuning_type: "freeze" }],
  ["galore_rank", 0, { finetuning_type: "full", use_galore: true }],
];
