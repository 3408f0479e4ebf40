import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { hubConfig } from "../../checks/hub-config.ts";
import { modelShapeOf } from "../../checks/model-shape.ts";
import { readExperiment } from "../../recipe/experiment.ts";

const config = {
  ...{ model_type: "qwen2", hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24 },
  ...{ num_attention_heads: 14, num_key_value_heads: 2, vocab_size: 151936, tie_word_embeddings: true },
};
const texts: Record<string, string> = {
  "/me/tuned/resolve/main/config.json": JSON.stringify(config),
  "/me/odd/resolve/main/config.json": JSON.stringify({ ...config, model_type: "gpt_bigcode" }),
  "/api/v1/models/me/scoped/repo?Revision=master&FilePath=config.json": JSON.stringify(config),
  "/me/page/resolve/main/config.json": "<html>",
};

let server: Server;
let asked: { readonly url: string; readonly authorization: string | undefined }[] = [];

beforeAll(async () => {
  server = createServer(({ url = "", headers }, response) => {
    asked.push({ url, authorization: headers.authorization });
    const text = texts[url];
    response.writeHead(text === undefined ? 404 : 200).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
beforeEach(() => {
  asked = [];
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.stubEnv("HF_ENDPOINT", address);
  vi.stubEnv("MODELSCOPE_ENDPOINT", address);
});
afterAll(() => {
  vi.unstubAllEnvs();
  server.close();
});

function experimentOf(id: string) {
  const { experiment } = readExperiment({
    model: { source: "hub", id },
    datasets: [{ builtin: "general" }],
    train: { template: "qwen" },
  });
  return experiment!;
}

test("a model that is not bundled gets its shape from its hub, where that may be asked", async () => {
  expect(await modelShapeOf(experimentOf("me/tuned"), "/nowhere")).toMatchObject({
    findings: [
      { level: "warning", code: "model-unknown", next: expect.stringContaining("check --model me/tuned") as string },
    ],
  });
  expect(asked).toEqual([]);
  const { shape, findings } = await modelShapeOf(experimentOf("me/tuned"), "/nowhere", { token: "t" });
  expect(shape).toMatchObject({ hidden: 896, layers: 24 });
  expect(findings).toEqual([]);
  expect(asked).toContainEqual({ url: "/me/tuned/resolve/main/config.json", authorization: "Bearer t" });
});

test("ModelScope's answer is taken where Hugging Face has none", async () => {
  expect(await hubConfig({ source: "hub", id: "me/scoped" }, {})).toMatchObject({ model_type: "qwen2" });
  expect(await hubConfig({ source: "huggingface", id: "me/scoped" }, {})).toBeUndefined();
});

test("a type without formulas is an error with its name", async () => {
  const { shape, findings } = await modelShapeOf(experimentOf("me/odd"), "/nowhere", {});
  expect(shape).toBeUndefined();
  expect(findings).toMatchObject([{ level: "error", code: "model-type-unknown", property: "model.id" }]);
  expect(findings[0]?.message).toContain("gpt_bigcode");
});

test.each(["me/page", "me/none"])("%s: what is no config.json is none", async (id) => {
  expect(await hubConfig({ source: "hub", id }, {})).toBeUndefined();
  expect(await hubConfig({ source: "pypi", id }, {})).toBeUndefined();
});
