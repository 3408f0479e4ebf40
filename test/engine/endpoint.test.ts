import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpointDeclare, endpointDelete, endpointRead, endpointWait } from "../../agent/endpoints/commands.ts";
import { writeJson } from "../../agent/files.ts";
import { childEnvironment, isAlive } from "../../agent/processes.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { RunManifest } from "../../recipe/lifecycle.ts";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { until } from "../agent/endpoints/gateway-fixture.ts";
import { collect } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/** A LoRA adapter with large random weights, so that it can't but change what the model says. */
const makeAdapter = `
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"))
for name, weight in model.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(weight, std=1.0)
model.save_pretrained(sys.argv[2])
`;

const run = "tiny-0123456789ab";
const question = [{ role: "user" as const, content: "hello" }];
let home: TestHome;
let spec: EndpointSpec;
let openai: OpenAI;

const place = () => ({ dataDirectory: home.home, experiment: "tiny" });

beforeAll(async () => {
  home = await makeTestHome();
  const python = await environmentPython(home.home);
  const weights = await tinyModel(home.home, python);
  const layout = layoutOf(home.home);
  const { output, manifest } = layout.run(run);
  await mkdir(output, { recursive: true });
  await execa(python, ["-c", makeAdapter, weights, output], { env: childEnvironment(), extendEnv: false });
  spec = {
    schemaVersion: 1,
    experiment: "tiny",
    run,
    environment: dirname(dirname(python)),
    device: "cpu",
    weights,
    template: "qwen",
    arguments: { finetuning_type: "lora" },
    artifact: "adapter",
    engine: "huggingface",
    base: "yes",
    engineBytes: 1e9,
    host: "127.0.0.1",
    port: 0,
    limits: { requestsPerMinute: 1000, queue: 8, bodyBytes: 1_000_000, maxTokens: 30_000 },
  };
  const path = "adapter_model.safetensors";
  const { size } = await stat(join(output, path));
  const complete: RunManifest = {
    ...{ schemaVersion: 1, run, completedAt: new Date().toISOString(), attempts: 1, step: 1, totalSteps: 1 },
    ...{ trainSeconds: 1, artifact: "adapter", files: [{ path, bytes: size, sha256: "0".repeat(64) }] },
  };
  const { url, apiKey } = await endpointDeclare({ dataDirectory: home.home, spec }, collect());
  openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
  const early = openai.chat.completions.create({ model: "tiny", messages: question });
  await expect(early).rejects.toMatchObject({ status: 503, code: "model_not_ready" });
  await writeJson(manifest, complete);
  await endpointWait(place(), collect());
});

afterAll(async () => {
  await endpointDelete(place(), collect());
  await home.remove();
});

async function ask(model: string, more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) {
  const answer = await openai.chat.completions.create({
    model,
    messages: question,
    max_completion_tokens: 12,
    ...more,
  });
  return {
    text: answer.choices[0]?.message.content ?? "",
    finish: answer.choices[0]?.finish_reason,
    usage: answer.usage,
  };
}

test("both models answer: greedy at temperature 0, and the adapter makes the difference", async () => {
  const base = await ask("base", { temperature: 0 });
  expect(await ask("base", { temperature: 0 })).toEqual(base);
  expect((await ask("tiny", { temperature: 0 })).text).not.toBe(base.text);
});

test("tokens are counted by the engine, in a stream as in a whole answer", async () => {
  const { usage, finish, text } = await ask("base", { temperature: 0 });
  expect(usage?.prompt_tokens).toBeGreaterThan(0);
  // Greedy, the random model goes round in circles and never stops by itself.
  expect({ finish, tokens: usage?.completion_tokens }).toEqual({ finish: "length", tokens: 12 });
  const stream = await openai.chat.completions.create({
    ...{ model: "base", messages: question, max_completion_tokens: 12, temperature: 0 },
    stream: true,
    stream_options: { include_usage: true },
  });
  let said = "";
  let counted: unknown;
  for await (const chunk of stream) {
    said += chunk.choices[0]?.delta.content ?? "";
    counted = chunk.usage ?? counted;
  }
  expect({ said, counted }).toEqual({ said: text, counted: usage });
});

test("a seed repeats an answer, and without one answers differ", async () => {
  const free = { temperature: 2, top_p: 1, max_completion_tokens: 20 };
  const seeded = await ask("base", { ...free, ...{ seed: 11 } });
  expect(await ask("base", { ...free, ...{ seed: 11 } })).toEqual(seeded);
  const others = await Promise.all([1, 2, 3].map(() => ask("base", free)));
  expect(new Set(others.map(({ text }) => text)).size).toBeGreaterThan(1);
});

test("a client that goes away ends its generation", async () => {
  // Greedy, a random model goes round in circles until its context is full, some thousand tokens.
  const long = { messages: question, max_completion_tokens: 30_000, temperature: 0 };
  const stream = await openai.chat.completions.create({ ...long, model: "tiny", stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  // If it went on, one token of the same engine would come later than 400 of the other one.
  const finished: string[] = [];
  const [, other] = await Promise.all([
    ask("tiny", { max_completion_tokens: 1 }).finally(() => finished.push("one token")),
    ask("base", { temperature: 0, max_completion_tokens: 400 }).finally(() => finished.push("400 tokens")),
  ]);
  expect(other.usage?.completion_tokens).toBe(400);
  expect(finished).toEqual(["one token", "400 tokens"]);
});

test("what does not fit into the model's context is refused with the figures", async () => {
  const messages = [{ role: "user" as const, content: "hello ".repeat(50_000) }];
  await expect(ask("base", { messages })).rejects.toMatchObject({
    status: 400,
    message: expect.stringMatching(/The messages have \d+ tokens, and the model's context has \d+/) as string,
  });
});

test("a killed engine comes back, a killed gateway leaves none", async () => {
  const engines = async () =>
    (await endpointRead(place(), collect()))!.status.models.map(({ enginePid }) => enginePid!);
  const [first] = await engines();
  process.kill(first!, "SIGKILL");
  await until(async () => (await endpointRead(place(), collect()))?.status.state !== "ready", 5000);
  await endpointWait(place(), collect());
  expect((await ask("tiny")).usage?.completion_tokens).toBeGreaterThan(0);
  const left = await engines();
  const { gatewayPid } = (await endpointRead(place(), collect()))!.status;
  process.kill(gatewayPid!, "SIGKILL");
  await until(() => left.every((pid) => !isAlive(pid)));
  expect((await endpointRead(place(), collect()))?.status.state).toBe("down");
});
