import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { verifyWeightsFolder } from "../../../agent/weights/verify.ts";
import { fakeModel, safetensors } from "./fake-model.ts";

let folder: string;
beforeEach(async () => (folder = await fakeModel(await mkdtemp(join(tmpdir(), "tuneup-model-")))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const first = "model-00001-of-00002.safetensors";
const second = "model-00002-of-00002.safetensors";
const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 99\n";
const at = (name: string) => join(folder, name);

it("finds nothing wrong with whole shards, one file, and another tokenizer", async () => {
  expect(await verifyWeightsFolder(folder)).toBeUndefined();
  await rm(at("model.safetensors.index.json"));
  await writeFile(at("model.safetensors"), safetensors(["a"]));
  await rename(at("tokenizer.json"), at("tokenizer.model"));
  expect(await verifyWeightsFolder(folder)).toBeUndefined();
});

it.each<[string, () => Promise<unknown>, string]>([
  ["a missing shard", () => rm(at(second)), `${second} is missing`],
  [
    "a truncated shard",
    () => truncate(at(second), safetensors(["layer.1"]).length - 5),
    `${second} is truncated: it has 11 of the 16 bytes`,
  ],
  [
    "a shard cut in its header",
    () => truncate(at(first), 20),
    `${first} is truncated: 20 bytes do not even hold its header`,
  ],
  ["an empty shard", () => truncate(at(first), 0), `${first} is truncated`],
  ["bytes too many", () => appendFile(at(first), "xx"), `${first} has 2 bytes more than its header names`],
  [
    "a shard with other tensors",
    () => writeFile(at(second), safetensors(["other"])),
    `${second} lacks the tensor layer.1`,
  ],
  ["a shard of something else", () => writeFile(at(first), "PK".padEnd(900, "x")), `${first} is`],
  ["a shard that is a pointer", () => writeFile(at(first), pointer), `${first} is a Git LFS pointer`],
  [
    "a tokenizer that is a pointer",
    () => writeFile(at("tokenizer.json"), pointer),
    "tokenizer.json is a Git LFS pointer",
  ],
  [
    "pointers beside no index",
    async () => {
      await rm(at("model.safetensors.index.json"));
      await writeFile(at(second), pointer);
    },
    `${second} is a Git LFS pointer`,
  ],
  ["no config", () => rm(at("config.json")), "has no config.json"],
  ["a torn config", () => writeFile(at("config.json"), "{"), "config.json is not what it should be"],
  ["no tokenizer", () => rm(at("tokenizer.json")), "has no tokenizer"],
  ["no index", () => rm(at("model.safetensors.index.json")), "but no model.safetensors.index.json"],
])("names %s", async (_what, damage, words) => {
  await damage();
  const wrong = await verifyWeightsFolder(folder);
  expect(wrong).toContain(words);
  expect(wrong).toContain(folder);
});

it.each([
  ["pytorch_model.bin", "only pickle weights"],
  ["model-q4.gguf", "only GGUF weights"],
  ["README.md", "has no safetensors weights"],
])("says what %s alone is worth", async (name, words) => {
  for (const file of [first, second, "model.safetensors.index.json"]) await rm(at(file));
  await writeFile(at(name), "x");
  expect(await verifyWeightsFolder(folder)).toContain(words);
});

it("says what else a path may be", async () => {
  expect(await verifyWeightsFolder("/nowhere/at/all")).toBe("There is no folder /nowhere/at/all.");
  expect(await verifyWeightsFolder(at("config.json"))).toContain("is a file");
  expect(await verifyWeightsFolder("models/mine")).toContain("must be an absolute path");
  await rename(at("config.json"), at("adapter_config.json"));
  expect(await verifyWeightsFolder(folder)).toContain("holds an adapter");
});
