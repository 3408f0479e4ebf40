import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readExperiment } from "../../recipe/experiment.ts";
import { Fault } from "../../recipe/fault.ts";
import { copiedStack, editStack, stackConfig } from "../../recipe/stack-edit.ts";

const text = readFileSync(new URL("../../stacks/Pulumi.qwen2.5-7b-lora.yaml", import.meta.url), "utf8");

function fault(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.sentence;
    throw thrown;
  }
  throw new Error("no fault");
}

describe("editStack", () => {
  it("changes a value and not a byte more", () => {
    expect(editStack(text, [{ property: "train.learning_rate", value: "2e-4" }])).toBe(text.replace("1.0e-4", "2e-4"));
    expect(editStack(text, [{ property: "datasets.0.name", value: "小艾" }])).toBe(
      text.replace("name: Ada", "name: 小艾"),
    );
  });

  it("adds keys and whole groups, and keeps every comment and number as written", () => {
    const edited = editStack(text, [
      { property: "train.lora_rank", value: "16" },
      { property: "serve.port", value: "8500" },
      { property: "datasets.2", value: "{builtin: general}" },
    ]);
    expect(stackConfig(edited)).toMatchObject({
      serve: { port: 8500 },
      train: { lora_rank: 16 },
      datasets: { 2: { builtin: "general" } },
    });
    for (const line of text.split("\n").filter((entry) => /#|e-4/.test(entry))) expect(edited).toContain(line.trim());
  });

  it("takes a key out and keeps the heading above it", () => {
    const edited = editStack(text, [
      { property: "train.logging_steps" },
      { property: "train.val_size" },
      { property: "train.eval_strategy" },
    ]);
    expect(stackConfig(edited)["train"]).not.toHaveProperty("logging_steps");
    expect(edited).toContain("### output");
    expect(edited).toContain("### eval");
  });

  it("gives a text where a text is due", () => {
    const edited = editStack(text, [{ property: "model.revision", value: "1.0" }]);
    expect(stackConfig(edited)["model"]).toMatchObject({ revision: "1.0" });
  });

  it("may repair a file that is wrong elsewhere", () => {
    const wrong = text.replace("cutoff_len: 1024", "cutoff_len: 8gb\n    learning_rte: 1");
    const edited = editStack(wrong, [{ property: "train.cutoff_len", value: "1024" }]);
    expect(stackConfig(edited)["train"]).toMatchObject({ cutoff_len: 1024, learning_rte: 1 });
  });

  it.each([
    ["train.learning_rate", "8gb", /^train.learning_rate: must be a number .*got "8gb"/],
    ["train.learning_rte", "1", /Did you mean learning_rate\?/],
    ["train.output_dir", "x", /is set by tuneup itself/],
    ["trian.lora_rank", "8", /is not a config key.*Did you mean train\?/],
    ["hubToken", "x", /pulumi config set --secret hubToken/],
    ["datasets.9.name", "x", /datasets has 2/],
    ["target.x", "1", /goes into "local", which is no map/],
    ["train.", "1", /has an empty part/],
    ["serve.port", "99999", /must be at most 65535, got 99999/],
    ["serve.port", "[", /must be a value as YAML has it/],
    ["serve.port", undefined, /is not set, so there is nothing to take out/],
    ["train.template", undefined, /^train.template: is required/],
  ])("refuses %s=%s in a sentence", (property, value, expected) => {
    expect(fault(() => editStack(text, [value === undefined ? { property } : { property, value }]))).toMatch(expected);
  });

  it("says the line of a file that is no YAML", () => {
    expect(fault(() => editStack("config:\n  a: [1\n", [{ property: "wait", value: "true" }]))).toMatch(
      /line 3|line 2/,
    );
  });
});

it.each([
  ["a list", "- a\n", /^stacks\/x.yaml is no stack file: it must be a map/],
  ["a word", "hello\n", /^stacks\/x.yaml is no stack file/],
  ["an alias of nothing", "config:\n  tuneup:model: *absent\n", /^stacks\/x.yaml is not YAML: .*absent/],
  ["a tab", "config:\n\ttuneup:target: local\n", /^line 2 of stacks\/x.yaml is not YAML: Tabs/],
])("%s in place of a stack file is told with its path", (_what, wrong, expected) => {
  expect(fault(() => stackConfig(wrong, "stacks/x.yaml"))).toMatch(expected);
});

it("a copy has nothing that Pulumi encrypted for the other", () => {
  const secret = `${text.replace("config:\n", "config:\n  tuneup:hubToken:\n    secure: AAAB\n")}encryptionsalt: v1:abc\n`;
  const copy = copiedStack(secret);
  expect(copy).not.toMatch(/secure|encryptionsalt|hubToken/);
  expect(stackConfig(copy)).toEqual(stackConfig(text));
  expect(copy).toContain("# lora_rank: 8");
  expect(copiedStack(text)).toBe(text);
});

it("numbers and flags that `pulumi config set --path` wrote as texts are numbers and flags", () => {
  const written = text
    .replace("learning_rate: 1.0e-4", 'learning_rate: "2e-4"')
    .replace("save_steps: 500", 'save_steps: "50"')
    .replace("bf16: true", 'bf16: "false"');
  const edited = editStack(text, [
    { property: "train.learning_rate", value: "2e-4" },
    { property: "train.save_steps", value: "50" },
    { property: "train.bf16", value: "false" },
  ]);
  const byPulumi = readExperiment(stackConfig(written));
  expect(byPulumi.faults).toBeUndefined();
  expect(byPulumi.experiment).toEqual(readExperiment(stackConfig(edited)).experiment);
  expect(byPulumi.experiment?.train).toMatchObject({ learning_rate: 2e-4, save_steps: 50, bf16: false });
});
