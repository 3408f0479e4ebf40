import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../recipe/canonical.ts";
import { datasetsDigest, planDatasets } from "../../recipe/datasets.ts";
import type { TrainArguments } from "../../recipe/arguments.ts";
import { adaptersUnder, artifactOf, renderServing, renderTraining } from "../../recipe/render.ts";
import { runName } from "../../recipe/run.ts";

const identity = {
  train: { learning_rate: 1e-3, template: "qwen" },
  datasetsDigest: "d",
  model: { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" },
  environmentLock: "l",
} as const;

describe("runName", () => {
  it("is the same however the values were written", () => {
    const reordered = { ...identity, train: { template: "qwen", learning_rate: 0.001 } };
    expect(runName("a", reordered)).toBe(runName("a", identity));
    expect(runName("a", identity)).toMatch(/^a-[0-9a-f]{12}$/);
  });

  it.each([
    ["a hyperparameter", { ...identity, train: { ...identity.train, learning_rate: 2e-3 } }],
    ["the data", { ...identity, datasetsDigest: "e" }],
    ["the model's revision", { ...identity, model: { ...identity.model, revision: "v2" } }],
    ["the environment", { ...identity, environmentLock: "m" }],
  ])("changes with %s", (_name, changed) => {
    expect(runName("a", changed)).not.toBe(runName("a", identity));
  });
});

describe("canonicalJson", () => {
  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (bag) => {
        const reversed = Object.fromEntries(Object.entries(bag).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(bag));
        expect(JSON.parse(canonicalJson(bag))).toEqual(JSON.parse(JSON.stringify(bag)));
      }),
    );
  });
});

describe("planDatasets", () => {
  it("fills name and author into every row of identity", () => {
    const [plan] = planDatasets([{ builtin: "identity", name: 'A "$& B', author: "C" }]);
    const text = plan?.inline ?? "";
    expect(text).not.toMatch(/\{\{/);
    const rows = JSON.parse(text) as { output: string }[];
    expect(rows.length).toBeGreaterThan(10);
    expect(rows.some(({ output }) => output.includes('A "$& B'))).toBe(true);
  });

  it("gives files of one name names of their own", () => {
    const plans = planDatasets([{ path: "a/faq.json" }, { path: "b/faq.json" }, { path: "c/my data.v2.JSONL" }]);
    expect(plans.map(({ name }) => name)).toEqual(["faq", "faq_2", "my_data_v2"]);
    expect(plans.map(({ extension }) => extension)).toEqual(["json", "json", "jsonl"]);
  });

  it("puts the format, and nothing of ours, into dataset_info", () => {
    const [plan] = planDatasets([{ path: "a.json", formatting: "sharegpt", columns: { messages: "chat" } }]);
    expect(plan?.info).toEqual({ formatting: "sharegpt", columns: { messages: "chat" } });
  });

  it("has a digest that covers bytes, names and formats", () => {
    const entry = { name: "a", info: {}, sha256: "1", extension: "json" } as const;
    const digests = [
      entry,
      { ...entry, sha256: "2" },
      { ...entry, name: "b" },
      { ...entry, info: { formatting: "sharegpt" } },
    ];
    expect(new Set(digests.map((one) => datasetsDigest([one]))).size).toBe(4);
  });
});

describe("rendering", () => {
  const paths = { weights: "/d/models/m", datasets: "/d/datasets/x", output: "/d/runs/r/output" };

  it("keeps the user's values and sets what tuneup owns", () => {
    const rendered = renderTraining(
      { learning_rate: 1e-4, save_total_limit: 5, plot_loss: false },
      ["a", "b"],
      paths,
      "cuda",
    );
    expect(rendered).toMatchObject({
      learning_rate: 1e-4,
      save_total_limit: 5,
      plot_loss: false,
      model_name_or_path: "/d/models/m",
      dataset: "a,b",
      dataset_dir: "/d/datasets/x",
      output_dir: "/d/runs/r/output",
      do_train: true,
    });
    expect(rendered).not.toHaveProperty("overwrite_output_dir");
    expect(rendered).not.toHaveProperty("use_cpu");
  });

  it("always limits the checkpoints that are kept", () => {
    expect(renderTraining({}, ["a"], paths, "cpu")["save_total_limit"]).toBeGreaterThan(0);
  });

  it("gives GaLore and APOLLO an optimizer that they know, unless one is said", () => {
    const optim = (train: TrainArguments) => renderTraining(train, ["a"], paths, "cuda")["optim"];
    expect(optim({ use_galore: true })).toBe("adamw_torch");
    expect(optim({ use_apollo: true })).toBe("adamw_torch");
    expect(optim({ use_galore: true, optim: "adafactor" })).toBe("adafactor");
    expect(optim({})).toBeUndefined();
  });

  it("saves when it evaluates where the best checkpoint is served", () => {
    const best = (train: TrainArguments) => renderTraining(train, ["a"], paths, "cuda", { checkpoint: "best" });
    const owned = { load_best_model_at_end: true, metric_for_best_model: "eval_loss", greater_is_better: false };
    expect(best({ eval_strategy: "epoch" })).toMatchObject({ ...owned, save_strategy: "epoch" });
    expect(best({ eval_strategy: "steps", eval_steps: 20 })).toMatchObject({ ...owned, save_steps: 20 });
    expect(best({ eval_strategy: "steps", logging_steps: 5 })).toMatchObject({ save_strategy: "steps", save_steps: 5 });
    expect(best({ eval_strategy: "steps", eval_steps: 20, save_steps: 40 })["save_steps"]).toBe(40);
    expect(renderTraining({}, ["a"], paths, "cuda")).not.toHaveProperty("load_best_model_at_end");
  });

  it("knows which adapters were merged under the trained one", () => {
    expect(adaptersUnder({}, undefined)).toEqual([]);
    expect(adaptersUnder({}, "/a")).toEqual([]);
    expect(adaptersUnder({}, "/a,/b")).toEqual(["/a"]);
    expect(adaptersUnder({ create_new_adapter: true }, "/a,/b")).toEqual(["/a", "/b"]);
  });

  it("goes on from an adapter where there is one", () => {
    const rendered = renderTraining(
      { create_new_adapter: true },
      ["a"],
      { ...paths, adapter: "/d/runs/b/output" },
      "cuda",
    );
    expect(rendered).toMatchObject({ adapter_name_or_path: "/d/runs/b/output", create_new_adapter: true });
    expect(renderTraining({}, ["a"], paths, "cuda")).not.toHaveProperty("adapter_name_or_path");
  });

  it("serves with the template's surroundings of training, and with nothing else of it", () => {
    const served = renderServing({
      default_system: "Be kind.",
      learning_rate: 1,
      quantization_bit: 4,
      finetuning_type: "lora",
    });
    expect(served).toEqual({ default_system: "Be kind.", quantization_bit: 4, finetuning_type: "lora" });
  });

  it("knows which methods leave an adapter", () => {
    expect(
      [{}, { finetuning_type: "oft" }, { finetuning_type: "full" }, { finetuning_type: "freeze" }].map(artifactOf),
    ).toEqual(["adapter", "adapter", "weights", "weights"]);
  });
});
