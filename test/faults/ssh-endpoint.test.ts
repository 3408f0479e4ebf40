import { once } from "node:events";
import { connect } from "node:net";
import OpenAI from "openai";
import { expect, test } from "vitest";
import { readRecord } from "../../agent/files.ts";
import { isAlive } from "../../agent/processes.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { type EndpointStatus, endpointStatus } from "../../recipe/lifecycle.ts";
import { kill, until } from "../agent/runs/harness.ts";
import { send } from "./processes.ts";
import { changesIn, expectSentence, expectSound } from "./soundness.ts";
import { needsRoot } from "./ssh/needs-root.ts";
import { openSshStage, type SshStage } from "./ssh/stage.ts";
import { type Cli, reportsOf } from "./stage.ts";

/** One endpoint on a host behind a wire, reached by the tunnel that `tuneup endpoint --tunnel` keeps, that all of this happens to. */
const name = "tiny";
const messages = [{ role: "user" as const, content: "hello" }];
/** What is trained: so little is learnt that the model babbles until it is stopped. */
const experiment = { train: { learning_rate: 1e-7 }, serve: { base: false, maxTokens: 30_000 } };
let stage: SshStage;
let tunnel: Cli;
let openai: OpenAI;

needsRoot(
  async () => {
    // An engine that gives no token within two probes of 5 s hangs; 20 s otherwise, and every 30.
    stage = await openSshStage({ rig: { variables: { TUNEUP_ENDPOINT_PROBE_MS: "5000" } } });
    await stage.write(name, 3, experiment);
    const up = await stage.tuneup("up", name);
    expect(up.code, up.said).toBe(0);
    tunnel = stage.start("endpoint", name, "--json", "--tunnel");
    await until(() => {
      expect(tunnel.over(), tunnel.said()).toBe(false);
      return /\{"url".*\}/.test(tunnel.said());
    });
    const facts = JSON.parse(/\{"url".*\}/.exec(tunnel.said())?.[0] ?? "") as { url: string; apiKey: string };
    openai = new OpenAI({ baseURL: `${facts.url}/v1`, apiKey: facts.apiKey, maxRetries: 0 });
    await expectAnswer();
  },
  async () => {
    // Ctrl-C closes the tunnel, and with it the command.
    tunnel.interrupt();
    await tunnel.ended;
    await stage.remove();
  },
);

/** What the gateway says of itself, on the host's disk. */
async function status(): Promise<EndpointStatus> {
  const found = await readRecord(layoutOf(stage.data).endpoint(name).status, endpointStatus);
  if (found === undefined) throw new Error("There is no endpoint.");
  return found;
}

const enginePid = async () => (await status()).models[0]?.enginePid;

async function expectAnswer(): Promise<void> {
  const { usage } = await openai.chat.completions.create({ model: name, messages, max_completion_tokens: 3 });
  expect(usage?.completion_tokens).toBeGreaterThan(0);
}

/** Until the model answers again, by another engine than `before`. */
async function untilReplaced(before: number | undefined): Promise<void> {
  await until(async () => (await status()).state === "ready" && (await enginePid()) !== before);
  await expectAnswer();
}

/** Sound, and not trained again; what the next `up` changed. */
async function expectSoundWithoutTraining(): Promise<string[]> {
  const reports = reportsOf(await stage.run(name)).length;
  const changes = changesIn(await expectSound(stage, name));
  expect(reportsOf(await stage.run(name))).toHaveLength(reports);
  return changes;
}

test("a killed command takes its tunnel along, also where somebody still speaks through it", async () => {
  const its = stage.start("endpoint", name, "--json", "--tunnel");
  await until(() => /\{"url".*\}/.test(its.said()) || its.over());
  const { url } = JSON.parse(/\{"url".*\}/.exec(its.said())?.[0] ?? "{}") as { url: string };
  const port = Number(new URL(url).port);
  const clients = async () => (await stage.rig.clients()).filter(({ words }) => words.includes(`127.0.0.1:${port}:`));
  const waiting = async () =>
    (await stage.rig.processes()).filter(({ words }) => words.includes("cat >/dev/null")).length;
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  expect(await clients()).toHaveLength(1);
  expect(await waiting()).toBe(2);
  its.kill();
  await its.ended;
  await until(async () => (await clients()).length === 0);
  await until(async () => (await waiting()) === 1);
  const [refused] = (await once(connect(port, "127.0.0.1"), "error")) as [NodeJS.ErrnoException];
  expect(refused.code).toBe("ECONNREFUSED");
  socket.destroy();
});

test("4 · an engine killed in the middle of an answer ends that answer with an error, and is started again", async () => {
  const pid = await enginePid();
  const stream = await openai.chat.completions.create({ model: name, messages, temperature: 0, stream: true });
  const reading = (async () => {
    let pieces = 0;
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content && ++pieces === 3) await kill(pid);
  })();
  await expect(reading).rejects.toMatchObject({ code: "engine_lost" });
  expect(isAlive(pid ?? NaN)).toBe(false);
  await untilReplaced(pid);
  expect(await expectSoundWithoutTraining()).toEqual([]);
});

test("27 · an engine that hangs without dying is found, killed and replaced; until then requests get 503", async () => {
  const pid = (await enginePid()) ?? NaN;
  send(pid, "SIGSTOP");
  await until(async () => (await status()).state !== "ready");
  const early = openai.chat.completions.create({ model: name, messages });
  await expect(early).rejects.toMatchObject({ status: 503, code: "model_not_ready" });
  expect(isAlive(pid)).toBe(false);
  await untilReplaced(pid);
  expect(await expectSoundWithoutTraining()).toEqual([]);
});

test("5 · a killed gateway leaves no engine, and up alone brings it back with the same key and port", async () => {
  const { gatewayPid, port } = await status();
  const engine = (await enginePid()) ?? NaN;
  await kill(gatewayPid);
  await until(() => !isAlive(engine));
  await expect(openai.models.list()).rejects.toThrow();
  const refreshed = await stage.pulumi("refresh", "--yes", "--stack", name);
  expect(refreshed.code, refreshed.said).toBe(0);
  expect((await stage.pulumi("stack", "export", "--stack", name)).said).toContain('"state": "down"');
  expect(await expectSoundWithoutTraining()).toEqual(["Endpoint"]);
  expect((await status()).port).toBe(port);
  // The same tunnel leads there.
  await expectAnswer();
});

test("21 · a port that another program holds is named, and what works goes on; when it is free, up takes it", async () => {
  const { port: before } = await status();
  const program =
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(3600)";
  const [holder = NaN, taken = NaN] = (
    await stage.rig.inside([
      "sh",
      "-c",
      `mkfifo /tmp/port; python3 -c "${program}" >/tmp/port 2>/dev/null & echo $!; head -n 1 /tmp/port`,
    ])
  )
    .split("\n")
    .map(Number);
  expect((await stage.rig.listening()).join()).toContain(`:${taken}`);
  await stage.write(name, 3, { ...experiment, serve: { ...experiment.serve, port: taken } });
  expectSentence(await stage.tuneup("up", name), /serve\.port/, new RegExp(`127\\.0\\.0\\.1:${taken} is taken`));
  expect((await status()).port).toBe(before);
  await expectAnswer();
  await kill(holder);
  expect(await expectSoundWithoutTraining()).toEqual(["Endpoint"]);
  expect(await status()).toMatchObject({ state: "ready", port: taken });
});
