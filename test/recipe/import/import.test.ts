import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ownedArguments } from "../../../recipe/arguments.ts";
import { importTraining } from "../../../recipe/import/import.ts";
import type { ImportAnswers, ImportWorld } from "../../../recipe/import/world.ts";
import { answers, configOf, fault, imported, least, said, worldOf } from "./importing.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const examples = join(root, "test/fixtures/llamafactory-examples");

describe("the tutorial's file", () => {
  const text = readFileSync(join(root, "test/fixtures/tutorial.yaml"), "utf8");
  const result = imported(text, { ...answers, hub: "modelscope" }, worldOf(), "test/fixtures/tutorial.yaml");

  it("becomes the stack file that ships, to the letter", () => {
    expect(result.text).toBe(readFileSync(join(root, "stacks/Pulumi.qwen2.5-7b-lora.yaml"), "utf8"));
    expect(result.faults).toEqual([]);
  });

  it("keeps every comment, each before the same line", () => {
    const comments = text.split("\n").filter((line) => line.startsWith("#"));
    expect(comments.length).toBeGreaterThan(10);
    for (const comment of comments) expect(result.text).toContain(`    ${comment}\n`);
    expect(result.text).toContain("finetuning_type: lora\n    # lora_rank: 8\n    lora_target: all");
    expect(result.text).toContain("learning_rate: 1.0e-4");
  });

  it("keeps every argument that tuneup does not own", () => {
    const given = parse(text) as Record<string, unknown>;
    const kept = Object.fromEntries(Object.entries(given).filter(([name]) => !(name in ownedArguments)));
    expect(configOf(result)["tuneup:train"]).toEqual(kept);
  });

  it("says what can't be equal, with the numbers", () => {
    expect(said(result)).toMatch(/hwtcm_deepseek_r1_distill_data is not in LLaMA-Factory's own list/);
    expect(said(result)).toMatch(/columns could not be confirmed .* nor its licence/);
    expect(said(result)).toMatch(/trust_remote_code: true stays, but Qwen does not need it/);
    expect(said(result)).toMatch(/save_steps: 500 is longer than .* about 348 steps \(369 with the 91 rows/);
    expect(said(result)).toMatch(/eval_steps: 500 is longer/);
    for (const name of ["output_dir", "overwrite_output_dir", "do_train"]) expect(said(result)).toContain(`${name}: `);
  });
});

describe("LLaMA-Factory's published examples", () => {
  const files = readdirSync(examples, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".yaml"));
  const data = Object.fromEntries(
    ["alpaca_en_demo", "alpaca_zh_demo", "mllm_demo", "dpo_en_demo", "kto_en_demo", "c4_demo"].map((name) => [
      name,
      { file_name: `${name}.json` },
    ]),
  );
  const world: ImportWorld = {
    exists: (path) => existsSync(path),
    read: (path) =>
      path === "lf/dataset_info.json"
        ? JSON.stringify(data)
        : existsSync(path)
          ? readFileSync(path, "utf8")
          : undefined,
    place: (path) => path,
  };
  const given = { ...answers, dataDirectory: "lf", datasets: { med: "data/med.json", math: "data/math.json" } };
  const values = (file: string): Record<string, unknown> =>
    parse(readFileSync(join(examples, file), "utf8")) as Record<string, unknown>;
  const trainings = files.filter((file) => "dataset" in values(file));

  it("are all here", () => expect(trainings.length).toBeGreaterThanOrEqual(49));

  it.each(trainings)("%s is imported, its values and comments kept", (file) => {
    const path = join(examples, file);
    const text = readFileSync(path, "utf8");
    const result = imported(text, given, world, path);
    const train = configOf(result)["tuneup:train"] as Record<string, unknown>;
    const expected = Object.entries(values(file)).filter(
      ([name]) => !(name in ownedArguments) && !name.startsWith("ray_") && name !== "deepspeed",
    );
    expect(Object.fromEntries(Object.entries(train).filter(([name]) => name !== "deepspeed"))).toEqual(
      Object.fromEntries(expected),
    );
    expect(train["deepspeed"] === undefined).toBe(values(file)["deepspeed"] === undefined);
    if (train["deepspeed"] !== undefined) expect(train["deepspeed"]).toHaveProperty("zero_optimization");
    for (const line of text.split("\n").filter((entry) => entry.startsWith("#")))
      expect(result.text).toContain(line.trimEnd());
  });

  it.each(files.filter((file) => !trainings.includes(file)))(
    "%s trains nothing, which is said in a sentence",
    (file) => {
      const path = join(examples, file);
      expect(fault(() => imported(readFileSync(path, "utf8"), given, world, path))).toMatch(
        /nothing|no argument of LLaMA-Factory's training/,
      );
    },
  );
});

describe("model", () => {
  it.each([
    ["Qwen/Qwen2.5-7B-Instruct", { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" }],
    ["/mnt/workspace/Qwen2.5-7B", { source: "path", id: "/mnt/workspace/Qwen2.5-7B" }],
    ["./qwen", { source: "path", id: "qwen" }],
    ["models/Qwen2.5-7B", { source: "path", id: "models/Qwen2.5-7B" }],
    ["a/b/c", { source: "path", id: "a/b/c" }],
  ])("%s", (given, expected) => {
    const result = imported(least.replace("Qwen/Qwen2.5-7B-Instruct", given) + "dataset: identity\n");
    expect(configOf(result)["tuneup:model"]).toEqual(expected);
  });

  it("goes on from an adapter, and knows revisions", () => {
    const result = imported(
      `${least}dataset: identity\nadapter_name_or_path: saves/first, saves/second\nmodel_revision: v1\n`,
    );
    expect(configOf(result)["tuneup:model"]).toMatchObject({ adapter: "saves/first,saves/second", revision: "v1" });
    expect(configOf(result)["tuneup:train"]).not.toHaveProperty("model_revision");
  });

  it.each([
    ["C:\\models\\qwen", /is the Windows path C:\\models\\qwen/],
    ["D:/qwen", /Windows path/],
  ])("refuses %s", (given, expected) => {
    expect(fault(() => imported(`model_name_or_path: ${given}\ndataset: identity\n`))).toMatch(expected);
  });
});

describe("datasets", () => {
  const datasetsOf = (dataset: string, given: ImportAnswers = answers, world = worldOf()): unknown =>
    configOf(imported(`${least}dataset: ${dataset}\n`, given, world))["tuneup:datasets"];

  it("takes LLaMA-Factory's own names from its list, with what its entry says", () => {
    expect(datasetsOf("alpaca_gpt4_zh , glaive_toolcall_en,belle_1m")).toEqual([
      { hub: "llamafactory/alpaca_gpt4_zh" },
      {
        hub: "llamafactory/glaive_toolcall_en",
        source: "huggingface",
        formatting: "sharegpt",
        columns: { messages: "conversations", tools: "tools" },
      },
      { hub: "BelleGroup/train_1M_CN", source: "huggingface" },
    ]);
    expect(datasetsOf("belle_1m", { hub: "modelscope" })).toEqual([
      { hub: "AI-ModelScope/train_1M_CN", source: "modelscope" },
    ]);
  });

  it("joins neighbours of one dataset_info.json, and takes its entry before the built-in list", () => {
    const world = worldOf({
      "mine/dataset_info.json": JSON.stringify({
        a: { file_name: "a.json" },
        b: { file_name: "b.json" },
        lima: { file_name: "l.json" },
      }),
    });
    const result = imported(`${least}dataset: a,b,identity,lima\ndataset_dir: mine\n`, answers, world);
    expect(configOf(result)["tuneup:datasets"]).toEqual([
      { datasetInfo: "mine/dataset_info.json", names: ["a", "b"] },
      { builtin: "identity", ...answers },
      { datasetInfo: "mine/dataset_info.json", names: ["lima"] },
    ]);
  });

  it("asks for what only the user knows, and guesses no name", () => {
    const asked = importTraining(
      [{ path: "x.yaml", text: `${least}dataset: identity,alpaca_en_demo,unheard_of\n` }],
      {},
      worldOf(),
    );
    expect("questions" in asked ? asked.questions.map(({ about }) => about) : []).toEqual([
      "name",
      "author",
      "dataDirectory",
      "dataset:unheard_of",
    ]);
  });

  it.each([
    ["data/med.json", { path: "data/med.json" }],
    ["./rows/", { path: "rows/" }],
    ["org/name", { hub: "org/name" }],
    ["modelscope:org/name", { hub: "org/name", source: "modelscope" }],
    [
      `https://example.com/a.json#sha256=${"a".repeat(64)}`,
      { url: "https://example.com/a.json", sha256: "a".repeat(64) },
    ],
    ["lf/dataset_info.json", { datasetInfo: "lf/dataset_info.json", names: ["med"] }],
  ])("--dataset med=%s", (answer, expected) => {
    expect(datasetsOf("med", { datasets: { med: answer } })).toEqual([expected]);
  });

  it.each([
    ["https://example.com/a.json", /needs the sha256/],
    ["nothing", /must be a file or folder/],
  ])("--dataset med=%s is refused", (answer, expected) => {
    expect(fault(() => datasetsOf("med", { datasets: { med: answer } }))).toMatch(expected);
  });

  it("says that a placeholder is no name", () => {
    const { faults } = imported(`${least}dataset: identity\n`, { name: "{{name}}", author: "us" });
    expect(faults).toMatchObject([{ property: "datasets.0.name" }]);
  });

  it("refuses a training without one", () => {
    expect(fault(() => imported(`${least}do_train: true\n`))).toMatch(
      /^dataset: must name at least one dataset, got null/,
    );
  });
});
