import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { importTraining } from "../../../recipe/import/import.ts";
import type { Imported } from "../../../recipe/import/world.ts";
import { answers, configOf, fault, imported, least, said, worldOf } from "./importing.ts";

describe("layouts", () => {
  it("takes JSON, and a pair with inference settings", () => {
    const training = JSON.stringify({
      ...(parse(least) as object),
      dataset: "identity",
      output_dir: "saves/x",
      learning_rate: 1e-4,
    });
    const inference =
      "model_name_or_path: Qwen/Qwen2.5-7B-Instruct\nadapter_name_or_path: saves/x\ntemplate: qwen3\ninfer_backend: vllm\nmax_new_tokens: 64\ntemperature: 0.5\n";
    const files = [
      { path: "infer.yaml", text: inference },
      { path: "train.json", text: training },
    ];
    const result = importTraining(files, answers, worldOf()) as Imported;
    expect(configOf(result)["tuneup:serve"]).toEqual({ engine: "vllm", maxTokens: 64 });
    expect(configOf(result)["tuneup:train"]).toEqual({ template: "qwen", stage: "sft", learning_rate: 1e-4 });
    expect(said(result)).toMatch(/infer.yaml has template: "qwen3", the training "qwen": served as it was trained/);
    expect(said(result)).toMatch(/adapter_name_or_path of infer.yaml: the run's own adapter is served/);
    expect(said(result)).toMatch(/temperature of infer.yaml/);
  });

  it("writes YAML 1.1's flags and numbers as Pulumi reads them, and keeps Windows line ends out", () => {
    const text =
      `${least}dataset: identity\nbf16: yes\nplot_loss: Off\nmax_samples: 1_000\nlearning_rate: 1e-4 # small\n`.replaceAll(
        "\n",
        "\r\n",
      );
    const result = imported(`---\r\n${text}`);
    expect(configOf(result)["tuneup:train"]).toMatchObject({
      bf16: true,
      plot_loss: false,
      max_samples: 1000,
      learning_rate: 1e-4,
    });
    expect(result.text).toContain("learning_rate: 1e-4 # small");
    expect(result.text).not.toContain("\r");
  });

  it("keeps values where a layout has no lines, and says that comments went", () => {
    const result = imported(
      `{model_name_or_path: Qwen/Qwen3-4B, template: qwen3, dataset: identity, # words\n stage: sft}\n`,
    );
    expect(configOf(result)["tuneup:train"]).toEqual({ template: "qwen3", stage: "sft" });
    expect(said(result)).toMatch(/comments could not be kept/);
  });

  it("leaves a hub's token out and says where it goes", () => {
    const result = imported(`${least}dataset: identity\nhf_hub_token: hf_abc\n`);
    expect(result.text).not.toContain("hf_abc");
    expect(said(result)).toMatch(/hf_hub_token is a secret.*pulumi config set --secret hubToken/);
  });

  it("says faults of the arguments and imports all the same", () => {
    const result = imported(`${least}dataset: identity\nlearning_rte: 1\n`);
    expect(result.faults.map(({ property }) => property)).toEqual(["train.learning_rte"]);
    expect(result.text).toContain("learning_rte: 1");
  });

  it.each([
    ["a: [1\nb: 2\n", /^exercise.yaml:2:1: /],
    ["stage: sft\nstage: pt\n", /^exercise.yaml:2:1: Map keys must be unique/],
    ["", /holds nothing/],
    ["- a\n", /holds no map/],
    ["micro_batch_size: 1\ntrain_dataset: x\n", /v1 trainer/],
    ["export_dir: x\n", /merges or quantizes/],
    ["colour: red\n", /no argument of LLaMA-Factory's training/],
  ])("refuses %j in a sentence", (text, expected) => {
    expect(fault(() => imported(text))).toMatch(expected);
  });
});
