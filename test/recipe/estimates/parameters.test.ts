import { expect, test } from "vitest";
import { bundledConfig, bundledModels, bundledShape } from "../../../recipe/estimates/bundled.ts";
import { readModelConfig } from "../../../recipe/estimates/model-config.ts";
import { loraParameters, parametersOf } from "../../../recipe/estimates/parameters.ts";

const shapeOf = (id: string) => bundledShape(id)!;

test("the parameters of every bundled model are those of its published weights", () => {
  const counted = bundledModels().filter(({ parameters }) => parameters !== undefined);
  expect(counted.length).toBeGreaterThan(80);
  expect(counted.map(({ id }) => [id, parametersOf(shapeOf(id)).total])).toEqual(
    counted.map(({ id, parameters }) => [id, parameters]),
  );
});

test.each([
  ["Qwen/Qwen2.5-7B-Instruct", 7_615_616_512],
  ["Qwen/Qwen2.5-0.5B-Instruct", 494_032_768],
  ["Qwen/Qwen3-8B", 8_190_735_360],
  ["meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248],
  ["HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008],
])("%s has %i", (id, parameters) => {
  expect(parametersOf(shapeOf(id)).total).toBe(parameters);
});

test.each([
  ["Qwen/Qwen3-30B-A3B", 30.5e9],
  ["Qwen/Qwen2-57B-A14B", 57.4e9],
])("the mixture of experts %s has about %d", (id, parameters) => {
  expect(Math.abs(parametersOf(shapeOf(id)).total / parameters - 1)).toBeLessThan(0.002);
});

test("the same model under another organisation is found", () => {
  expect(bundledConfig("LLM-Research/Llama-3-8B")).toEqual(bundledConfig("meta-llama/Meta-Llama-3-8B"));
  expect(bundledConfig("Qwen/Qwen9-7B")).toBeUndefined();
});

test("LoRA of rank 8 at all matrices of Qwen2.5-7B trains what peft says it does", () => {
  const shape = shapeOf("Qwen/Qwen2.5-7B");
  expect(loraParameters(shape, { rank: 8, targets: ["all"], dora: false })).toBe(20_185_088);
  expect(loraParameters(shape, { rank: 8, targets: ["all"], dora: true })).toBe(21_575_680);
  expect(loraParameters(shape, { rank: 8, targets: ["q_proj", "v_proj"], dora: false })).toBe(2_523_136);
});

test.each([
  [{ model_type: "mamba" }, "model-type-unknown", /mamba/],
  [{ model_type: "qwen2_5_vl" }, "model-not-text", /qwen2_5_vl/],
  [{ model_type: "qwen2_audio" }, "model-not-text", /qwen2_audio/],
  [{ model_type: "qwen3_omni_moe" }, "model-not-text", /qwen3_omni_moe/],
  [{ model_type: "qwen2", hidden_size: "wide" }, "model-config", /hidden_size/],
  [{}, "model-config", /model_type/],
])("%j is refused by name", (config, code, text) => {
  const { fault } = readModelConfig(config);
  expect(fault).toMatchObject({ code, property: "model.id" });
  expect(fault?.message).toMatch(text);
});
