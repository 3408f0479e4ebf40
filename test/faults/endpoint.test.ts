import { createHash } from "node:crypto";
import { mkdir, open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { filesBelow } from "../../agent/files.ts";
import { gatewayFiles } from "../../agent/endpoints/endpoint-records.ts";
import { keepPort, privatePort } from "../../agent/endpoints/ports.ts";
import { connect } from "../../hosts/connect.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { kill, until } from "../agent/runs/harness.ts";
import { type FakeHub, startHub } from "../fixtures/hub.ts";
import { sharedHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";
import { changesIn, expectSentence, expectSound } from "./soundness.ts";
import { openStage, reportsOf, type Stage } from "./stage.ts";

/** An endpoint, and weights from a hub, that all of this happens to, with secrets that must not be seen anywhere. */
const name = "tiny";
const secrets = {
  key: `tuneup-${"canary_key_".padEnd(43, "7")}`,
  passphrase: "canary-passphrase-81d3",
  hubToken: "hf_canary7720934812",
};
const shard = "model-00001-of-00002.safetensors";
let stage: Stage;
let hub: FakeHub;
let openai: OpenAI;
let url: string;

beforeAll(async () => {
  hub = await startHub("tiny/model", await tinyModel(sharedHome, await environmentPython(sharedHome)));
  stage = await openStage({
    home: { shared: ["tools", "env"] },
    secrets: Object.values(secrets),
    environment: { HF_ENDPOINT: hub.url, HF_HUB_DISABLE_XET: "1" },
  });
  await stage.write(name, 3, {
    model: { source: "huggingface", id: "tiny/model" },
    // So little is learnt that the model babbles until it is stopped.
    train: { learning_rate: 1e-7 },
    serve: { base: false, maxTokens: 30_000 },
  });
  await writeFile(join(stage.home, "passphrase"), `${secrets.passphrase}\n`, { mode: 0o600 });
  const { key } = layoutOf(stage.home).endpoint(name);
  await mkdir(join(key, ".."), { recursive: true, mode: 0o700 });
  await writeFile(key, `${secrets.key}\n`, { mode: 0o600 });
  // Other tests take a port from 8400 on while the gateway is dead.
  await keepPort(gatewayFiles(layoutOf(stage.home), name).port, await privatePort());
  await stage.pulumi("stack", "init", name);
  const set = await stage.pulumiWith(secrets.hubToken, "config", "set", "--secret", "--stack", name, "tuneup:hubToken");
  expect(set.code, set.said).toBe(0);
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  const { facts } = await endpoint();
  url = facts.url;
  openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: secrets.key, maxRetries: 0 });
});
afterAll(async () => {
  await stage.remove();
  await hub.close();
});

/** The endpoint as its agent knows it. */
async function endpoint() {
  const facts = await (
    await connect({ kind: "local", dataDirectory: stage.home })
  ).run("endpoint-read", { experiment: name });
  if (facts === null) throw new Error("There is no endpoint.");
  return { facts, own: facts.status.models[0] };
}

async function expectAnswer(): Promise<void> {
  const messages = [{ role: "user" as const, content: "hello" }];
  const { usage } = await openai.chat.completions.create({ model: name, messages, max_completion_tokens: 3 });
  expect(usage?.completion_tokens).toBeGreaterThan(0);
}

test("an engine killed in the middle of an answer ends that answer with an error, and is started again", async () => {
  const pid = (await endpoint()).own?.enginePid;
  const messages = [{ role: "user" as const, content: "hello" }];
  const stream = await openai.chat.completions.create({ model: name, messages, temperature: 0, stream: true });
  const reading = (async () => {
    let pieces = 0;
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content && ++pieces === 3) await kill(pid);
  })();
  await expect(reading).rejects.toMatchObject({ code: "engine_lost" });
  await until(async () => (await endpoint()).facts.status.state === "restarting");
  const early = openai.chat.completions.create({ model: name, messages });
  await expect(early).rejects.toMatchObject({ status: 503, code: "model_not_ready" });
  await until(async () => (await endpoint()).facts.status.state === "ready");
  expect((await endpoint()).own?.enginePid).not.toBe(pid);
  await expectAnswer();
});

test("a killed gateway, its record torn as well, is repaired by up alone: same key, same port", async () => {
  const { facts, own } = await endpoint();
  const { status } = layoutOf(stage.home).endpoint(name);
  await kill(facts.status.gatewayPid);
  await writeFile(status, "");
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  const refreshed = await stage.pulumi("refresh", "--yes", "--stack", name);
  expect(refreshed.code, refreshed.said).toBe(0);
  expect((await stage.pulumi("stack", "export", "--stack", name)).said).toContain('"state": "down"');
  const reports = reportsOf(await stage.run(name)).length;
  expect(changesIn(await expectSound(stage, name))).toEqual(["Endpoint"]);
  expect(reportsOf(await stage.run(name))).toHaveLength(reports);
  const after = await endpoint();
  expect(after.facts.url).toBe(url);
  expect(after.own?.enginePid).not.toBe(own?.enginePid);
  await expectAnswer();
});

test("a torn record of a live endpoint is written again by its gateway", async () => {
  const { status } = layoutOf(stage.home).endpoint(name);
  await writeFile(status, '{"schemaVersion": 1, "exp');
  await until(async () => (await readFile(status, "utf8")).includes('"ready"'));
  await expectAnswer();
});

const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("refresh sees truncated and edited weights, and up fetches just that file again", async () => {
  const kept = join(stage.home, "models", "tiny--model@0123456789ab", shard);
  const whole = digest(await readFile(kept));
  const edit = async () => {
    const file = await open(kept, "r+");
    await file.write(Buffer.from("x"), 0, 1, 5000).finally(() => file.close());
  };
  // While the hub refuses, `up` says so and what works goes on.
  for (const [damage, answer] of [
    [() => truncate(kept, 1000), "gated"],
    [edit, "normal"],
  ] as const) {
    await damage();
    expect(digest(await readFile(kept))).not.toBe(whole);
    await stage.pulumi("refresh", "--yes", "--stack", name);
    expect((await stage.pulumi("stack", "export", "--stack", name)).said).toMatch(/"state": "damaged: .*00001-of/);
    hub.answer = answer;
    if (answer === "gated") expectSentence(await stage.tuneup("up", name), /tiny\/model/, /hubToken/);
    hub.answer = "normal";
    hub.requests.length = 0;
    expect(changesIn(await expectSound(stage, name))).toEqual(["Model"]);
    expect(hub.requests.filter((request) => /^GET .*safetensors$/.test(request))).toHaveLength(1);
    expect(digest(await readFile(kept))).toBe(whole);
    await expectAnswer();
  }
});

test("no secret was in a command line, in what was said, or in a file but its own", async () => {
  expect(new Set(hub.tokens)).toEqual(new Set([`Bearer ${secrets.hubToken}`]));
  await stage.pulumi("stack", "output", "--json", "--stack", name);
  const words = Object.values(secrets);
  expect(stage.watch.leaks).toEqual([]);
  for (const word of words) expect(stage.transcript()).not.toContain(word);
  const holders: string[] = [];
  for (const folder of [stage.home, stage.folder, stage.environment["PULUMI_HOME"] ?? ""]) {
    // Links lead to what is shared: they are no files here.
    for (const path of await filesBelow(folder).catch(() => [])) {
      const bytes = await readFile(join(folder, path)).catch(() => Buffer.alloc(0));
      if (words.some((word) => bytes.includes(word))) holders.push(path);
    }
  }
  expect(holders.toSorted()).toEqual(["endpoints/tiny/key", "passphrase"]);
});
