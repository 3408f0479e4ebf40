import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { schemaLine } from "../../recipe/import/import.ts";
import { jsonSchemaPath, jsonSchemaText } from "../../scripts/json-schema.ts";

const stacks = fileURLToPath(new URL("../../stacks/", import.meta.url));
// zod reads a JSON Schema as a validator of its own: this is the schema as an editor takes it, not ours again.
const schema = z.fromJSONSchema(JSON.parse(jsonSchemaText()) as Parameters<typeof z.fromJSONSchema>[0]);

async function local(): Promise<{ config: Record<string, Record<string, unknown>> }> {
  return parse(await readFile(`${stacks}Pulumi.local.yaml`, "utf8")) as Awaited<ReturnType<typeof local>>;
}

it("stacks/experiment.schema.json is what the schema says (npm run reference)", async () => {
  expect(await readFile(jsonSchemaPath, "utf8")).toBe(jsonSchemaText());
});

it("every committed stack file names the schema and keeps to it", async () => {
  const files = (await readdir(stacks)).filter((file) => /^Pulumi\..+\.yaml$/.test(file));
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) {
    const text = await readFile(stacks + file, "utf8");
    expect(text.split("\n")[0], file).toBe(schemaLine);
    expect(schema.safeParse(parse(text)).error?.issues ?? [], file).toEqual([]);
  }
});

describe("the schema for editors", () => {
  it.each<[string, (stack: Awaited<ReturnType<typeof local>>) => unknown]>([
    [
      "a salt of Pulumi's and another provider's key",
      ({ config }) => ({ encryptionsalt: "v1:x", config: { ...config, "aws:region": "eu-west-1" } }),
    ],
    ["a secret", ({ config }) => ({ config: { ...config, "tuneup:hubToken": { secure: "AAAB" } } })],
    [
      "what `pulumi config set --path` writes",
      ({ config }) => ({
        config: {
          ...config,
          "tuneup:train": { ...config["tuneup:train"], learning_rate: "2e-4", bf16: "true", save_steps: "7" },
        },
      }),
    ],
    ["the short teardown", ({ config }) => ({ config: { ...config, "tuneup:teardown": "after-training" } })],
  ])("takes %s", async (_what, edit) => {
    expect(schema.safeParse(edit(await local())).error?.issues ?? []).toEqual([]);
  });

  it.each<[string, Record<string, unknown>]>([
    ["an unknown top-level key", { "tuneup:models": {} }],
    ["a plain text for a secret", { "tuneup:hubToken": "abc" }],
    ["an unknown argument", { "tuneup:train": { template: "qwen", learning_rte: 1 } }],
    ["an argument of tuneup's own", { "tuneup:train": { template: "qwen", output_dir: "x" } }],
    ["a text for a number", { "tuneup:train": { template: "qwen", learning_rate: "8gb" } }],
    ["a value out of the choices", { "tuneup:train": { template: "qwen", finetuning_type: "loraa" } }],
    ["no template", { "tuneup:train": { stage: "sft" } }],
    ["a port out of range", { "tuneup:serve": { port: 70000 } }],
    ["a dataset of no shape", { "tuneup:datasets": [{ nothing: 1 }] }],
    ["an unknown source", { "tuneup:model": { source: "disk", id: "x" } }],
  ])("refuses %s", async (_what, keys) => {
    const { config } = await local();
    expect(schema.safeParse({ config: { ...config, ...keys } }).success).toBe(false);
  });

  it("says help, default and choices of an argument", () => {
    const { properties } = JSON.parse(jsonSchemaText()) as {
      properties: { config: { properties: Record<string, { properties: Record<string, Record<string, unknown>> }> } };
    };
    const train = properties.config.properties["tuneup:train"]!.properties;
    expect(train["finetuning_type"]).toMatchObject({
      default: "lora",
      enum: expect.arrayContaining(["lora", "full"]) as unknown,
    });
    expect(train["cutoff_len"]?.["description"]).toMatch(/length/);
    expect(train).not.toHaveProperty("dataset_dir");
  });
});
