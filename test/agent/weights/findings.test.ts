import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { weightsFindings } from "../../../agent/weights/findings.ts";
import { hubFileSizes } from "../../../agent/weights/hub-sizes.ts";
import { type FakeHub, startHub } from "../../fixtures/hub.ts";
import { fakeModel } from "./fake-model.ts";
import { bundledModels } from "../../../recipe/estimates/bundled.ts";
import { knownLicence, licenceWords } from "../../../recipe/model-licence.ts";

const id = "tiny/model";
let root: string;
let hub: FakeHub;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-findings-"));
  hub = await startHub(id, await fakeModel(join(root, "model")), { "README.md": "x", "consolidated.safetensors": "x" });
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

const environment = () => ({ HF_ENDPOINT: hub.url, MODELSCOPE_ENDPOINT: hub.url });
const shard = () => join(root, "model", "model-00001-of-00002.safetensors");

describe.each(["huggingface", "modelscope"] as const)("%s", (source) => {
  it("sums the files that would be downloaded, and says the licence", async () => {
    const sizes = await hubFileSizes(id, source, hub.commit, { environment: environment() });
    const [folder] = await weightsFindings({ source: "path", id: join(root, "model") }, { ask: false });
    expect(sizes).toEqual({ hub: source, bytes: folder?.figure, files: 5, license: "apache-2.0", gated: false });
  });

  it.each([
    ["missing", "error", "weights-not-found"],
    ["gated", "error", /^weights-(gated|forbidden)$/],
    ["busy", "warning", "weights-rate-limited"],
  ] as const)("finds %s", async (answer, level, code) => {
    hub.answer = answer;
    const found = await weightsFindings({ source, id }, { ask: true, environment: environment() });
    expect(found.at(-1)).toMatchObject({ area: "weights", level, code: expect.stringMatching(code) as string });
  });
});

it("warns when no hub can be reached, and asks nobody when it shall not", async () => {
  const model = { source: "hub", id } as const;
  expect(await weightsFindings(model, { ask: false, environment: environment() })).toMatchObject([
    { level: "ok" },
    { level: "ok", code: "licence-unknown", next: expect.stringContaining(`check --model ${id}`) as string },
  ]);
  expect(hub.requests).toEqual([]);
  await hub.close();
  const found = await weightsFindings(model, { ask: true, environment: environment() });
  expect(found.at(-1)).toMatchObject({ level: "warning", code: "weights-unreachable" });
});

it.each([
  ["Qwen/Qwen2.5-7B-Instruct", /licence apache-2\.0\.$/],
  ["Qwen/Qwen2.5-3B", /licence qwen-research\.$/],
  ["Qwen/Qwen2.5-Coder-3B-Instruct", /licence qwen-research\.$/],
  ["Qwen/Qwen2.5-32B-Instruct", /licence apache-2\.0\.$/],
  ["Qwen/Qwen2-72B", /licence tongyi-qianwen\.$/],
  ["Qwen/Qwen2-57B-A14B", /licence apache-2\.0\.$/],
  ["Qwen/Qwen3-32B", /licence apache-2\.0\.$/],
  ["Qwen/Qwen2.5-72B-Instruct", /licence qwen\.$/],
  ["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", /licence mit\.$/],
  [
    "meta-llama/Llama-3.1-8B-Instruct",
    /licence llama3\.1; Hugging Face gives it only to people who accepted its terms/,
  ],
])("says the licence of %s and asks nobody", async (model, expected) => {
  const [, licence] = await weightsFindings({ source: "hub", id: model }, { ask: false, environment: environment() });
  const basis = expect.stringMatching(/^https:\/\/.+, as of this release$/) as string;
  expect(licence).toMatchObject({ level: "ok", message: expect.stringMatching(expected) as string, basis });
  expect(hub.requests).toEqual([]);
});

it("knows the licence of every model whose config.json is bundled", () => {
  expect(bundledModels().filter(({ id: known }) => knownLicence(known) === undefined)).toEqual([]);
  expect(knownLicence("someone/else")).toBeUndefined();
});

it.each([
  ["Qwen/Qwen2.5-3B", "mit", "licence mit"],
  ["Qwen/Qwen2.5-3B", "other", "licence qwen-research (by https://huggingface.co/Qwen/Qwen2.5-3B; the hub names none)"],
  ["Qwen/Qwen3-8B", undefined, "licence apache-2.0 (by https://qwenlm.github.io/blog/qwen3/; the hub names none)"],
  ["someone/else", "other", "licence other"],
  ["someone/else", undefined, "its card names no licence"],
])("of %s, %s at the hub, says: %s", (model, told, words) => {
  expect(licenceWords(model, told)).toBe(words);
});

it("gives up on a hub that is silent", async () => {
  hub.answer = "silent";
  const asked = hubFileSizes(id, "hub", undefined, { environment: environment(), timeoutMs: 50 });
  await expect(asked).rejects.toMatchObject({ code: "weights-unreachable", blame: "infrastructure" });
});

it("calls a gated model without a token an error that names the page, with one a warning", async () => {
  hub.gated = true;
  const model = { source: "huggingface", id } as const;
  const found = await weightsFindings(model, { ask: true, environment: environment() });
  expect(found.at(-1)).toMatchObject({
    level: "error",
    code: "weights-gated",
    next: expect.stringContaining("https://huggingface.co/tiny/model") as string,
  });
  const withToken = await weightsFindings(model, { ask: true, token: "t", environment: environment() });
  expect(withToken.at(-1)).toMatchObject({ level: "warning" });
});

it.each([
  ["a pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "weights-lfs-pointer", "Git LFS pointer"],
  ["a torn shard", "xx", "weights-invalid", "truncated"],
])("names %s in a folder", async (_what, text, code, words) => {
  await writeFile(shard(), text);
  const [found] = await weightsFindings({ source: "path", id: join(root, "model") }, { ask: false });
  expect(found).toMatchObject({ level: "error", code, message: expect.stringContaining(words) as string });
  expect(found?.message).toContain("model-00001-of-00002.safetensors");
});

it("refuses pickle in a folder until each file of it is named", async () => {
  const folder = join(root, "model");
  for (const name of ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]) {
    await rm(join(folder, name));
  }
  await rm(join(folder, "model.safetensors.index.json"));
  await writeFile(join(folder, "pytorch_model.bin"), "pickle");
  const model = { source: "path", id: folder } as const;
  const [refused] = await weightsFindings(model, { ask: false });
  expect(refused).toMatchObject({ level: "error", code: "weights-pickle", property: "model.allowPickle" });
  const [other] = await weightsFindings({ ...model, allowPickle: ["other.bin"] }, { ask: false });
  expect(other?.level).toBe("error");
  const [allowed] = await weightsFindings({ ...model, allowPickle: ["pytorch_model.bin"] }, { ask: false });
  expect(allowed?.level).toBe("ok");
});

it.each([
  ["s3:/x", undefined, "s3-address"],
  ["s3://bucket/x", "main", "weights-revision"],
])("refuses the address %s at %s", async (address, revision, code) => {
  const model = { source: "s3" as const, id: address, ...(revision === undefined ? {} : { revision }) };
  expect(await weightsFindings(model, { ask: false })).toMatchObject([{ level: "error", code }]);
});
