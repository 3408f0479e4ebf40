import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asTrained } from "../../../agent/endpoints/engines/as-trained.ts";
import { vllm } from "../../../agent/endpoints/engines/vllm.ts";
import { isAlive } from "../../../agent/processes.ts";
import type { EndpointSpec } from "../../../recipe/protocol.ts";

const script = fileURLToPath(new URL("../../../agent/python/serve_vllm.py", import.meta.url));

/** A package in vLLM's place, whose server is this text. */
let root: string;
let output: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-vllm-"));
  output = join(root, "output");
  await mkdir(output);
  await mkdir(join(root, "weights"));
  await write("output/adapter_config.json", { r: 20 });
  await write("output/tokenizer_config.json", { tokenizer_class: "Qwen2Tokenizer" });
  await write("weights/config.json", { model_type: "qwen2", rope_theta: 1e6 });
});
afterEach(() => rm(root, { recursive: true }));

const write = (name: string, value: object) => writeFile(join(root, name), JSON.stringify(value));

async function server(text: string): Promise<void> {
  const folder = join(root, "packages/vllm/entrypoints/openai");
  await mkdir(folder, { recursive: true });
  for (const name of ["", "entrypoints/", "entrypoints/openai/"])
    await writeFile(join(root, "packages/vllm", name, "__init__.py"), "");
  await writeFile(join(folder, "api_server.py"), text);
}

function launch(changes: Partial<EndpointSpec> = {}) {
  const spec = { experiment: "demo", weights: join(root, "weights"), environment: root, artifact: "adapter" } as const;
  const whole = { ...spec, arguments: {}, ...changes } as EndpointSpec;
  const place = { spec: whole, models: ["demo", "base"], output, folder: root, wrapper: script };
  return vllm.launch({ ...place, port: 1234, key: "canary" });
}

const environment = () => ({
  ...{ PATH: process.env["PATH"], PYTHONPATH: join(root, "packages") },
  TUNEUP_PARENT_PID: String(process.pid),
});

/** The words that vLLM's server is started with, as a map; a switch is true. */
async function wordsOf(changes: Partial<EndpointSpec> = {}): Promise<Map<string, string | true>> {
  await server("import sys, json\nif __name__ == '__main__': print(json.dumps(sys.argv[1:]))\n");
  const { words, files } = launch(changes);
  for (const { path, text } of files) await writeFile(path, text);
  const { stdout } = await promisify(execFile)("python3", [...words], { env: environment() });
  const told = JSON.parse(stdout) as string[];
  return new Map(
    told.flatMap((word, index) => {
      const next = told[index + 1];
      if (!word.startsWith("--")) return [];
      return [[word.slice(2), next === undefined || next.startsWith("--") ? true : next]];
    }),
  );
}

describe("vLLM's server", () => {
  it("gets the adapter with room for its rank, on loopback, within LLaMA-Factory's defaults", async () => {
    const words = Object.fromEntries(await wordsOf());
    expect(words).toMatchObject({
      ...{ model: join(root, "weights"), "served-model-name": "base", tokenizer: output, host: "127.0.0.1" },
      ...{ "enable-lora": true, "max-lora-rank": "32", "lora-modules": `demo=${output}` },
      ...{ "max-model-len": "4096", "gpu-memory-utilization": "0.7", "generation-config": "vllm" },
    });
    for (const name of ["hf-overrides", "enforce-eager", "trust-remote-code"]) expect(words).not.toHaveProperty(name);
  });

  it("takes the engine's arguments of the experiment", async () => {
    const given = { vllm_maxlen: 8192, vllm_gpu_util: 0.5, vllm_enforce_eager: true };
    expect(Object.fromEntries(await wordsOf({ arguments: given }))).toMatchObject({
      ...{ "max-model-len": "8192", "gpu-memory-utilization": "0.5", "enforce-eager": true },
    });
  });

  it("serves whole weights under the experiment's name, without an adapter", async () => {
    await write("output/config.json", { model_type: "qwen2", rope_theta: 1e6 });
    const words = await wordsOf({ artifact: "weights" });
    expect(words.get("model")).toBe(output);
    expect(words.get("served-model-name")).toBe("demo");
    expect(words.has("enable-lora")).toBe(false);
  });

  it("is told of RoPE what transformers 5 wrote, which its transformers 4 would read as its default", async () => {
    const rope = { rope_type: "default", rope_theta: 1e6 };
    await write("weights/config.json", { model_type: "qwen2", rope_parameters: rope });
    expect(JSON.parse(String((await wordsOf()).get("hf-overrides")))).toEqual({ rope_theta: 1e6 });
    const scaled = { rope_type: "yarn", factor: 4, rope_theta: 1e6 };
    await write("weights/config.json", { model_type: "qwen2", rope_parameters: scaled });
    expect(JSON.parse(String((await wordsOf()).get("hf-overrides")))).toEqual({
      ...{ rope_theta: 1e6, rope_scaling: { rope_type: "yarn", factor: 4 } },
    });
  });

  it.each([
    [{ tokenizer_class: "TokenizersBackend", eos_token: "<|im_end|>" }, {}],
    [
      { tokenizer_class: "Qwen2Tokenizer", extra_special_tokens: ["<|im_end|>"] },
      { additional_special_tokens: ["<|im_end|>"] },
    ],
  ])("gets a tokenizer that transformers 4 can read for %j", async (config, more) => {
    await write("output/tokenizer_config.json", config);
    // Again after a restart, over what is there.
    await wordsOf();
    const folder = String((await wordsOf()).get("tokenizer"));
    expect(folder).toBe(join(root, "tokenizer"));
    const mended = JSON.parse(await readFile(`${folder}/tokenizer_config.json`, "utf8")) as object;
    expect(mended).toMatchObject({ tokenizer_class: "PreTrainedTokenizerFast", ...more });
    expect(mended).not.toHaveProperty("extra_special_tokens");
    expect(await readlink(`${folder}/tokenizer.json`)).toBe(`${output}/tokenizer.json`);
  });

  it.runIf(process.platform === "linux").each(["fork", "spawn"])(
    "takes its own child (%s), which holds the GPU, with it when it is killed",
    async (method) => {
      await server(`import multiprocessing, os, time
def hold():
    print(os.getpid(), flush=True)
    time.sleep(600)
if __name__ == "__main__":
    import vllm.entrypoints.openai.api_server as own
    child = multiprocessing.get_context("${method}").Process(target=own.hold)
    child.start()
    child.join()
`);
      const { words, files } = launch();
      for (const { path, text } of files) await writeFile(path, text);
      const engine = spawn("python3", [...words], { env: environment(), stdio: ["ignore", "pipe", "inherit"] });
      const [line] = (await once(createInterface({ input: engine.stdout }), "line")) as [string];
      const child = Number(line);
      expect(isAlive(child)).toBe(true);
      engine.kill("SIGKILL");
      await once(engine, "exit");
      while (isAlive(child)) await delay(10);
    },
  );
});

describe("a request to an engine with the model's own template", () => {
  const messages = [{ role: "user", content: "hi" }];

  it("says the system prompt and the thinking of the training", () => {
    const given = { arguments: { default_system: "be kind", enable_thinking: false } };
    expect(asTrained({ messages, max_tokens: 5 }, given)).toEqual({
      max_tokens: 5,
      messages: [{ role: "system", content: "be kind" }, ...messages],
      chat_template_kwargs: { enable_thinking: false },
    });
  });

  it("is left as it is where it says its own, or the training said nothing", () => {
    const own = [{ role: "system", content: "mine" }, ...messages];
    expect(asTrained({ messages: own }, { arguments: { default_system: "be kind" } })).toEqual({ messages: own });
    expect(asTrained({ messages }, { arguments: {} })).toEqual({ messages });
  });
});
