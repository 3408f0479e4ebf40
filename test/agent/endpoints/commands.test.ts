import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  declareEndpoint,
  deleteEndpoint,
  endpointDelete,
  endpointRead,
  endpointRotateKey,
  endpointWait,
} from "../../../agent/endpoints/commands.ts";
import { gatewayFiles, gatewayRecord } from "../../../agent/endpoints/endpoint-records.ts";
import { keepPort, privatePort } from "../../../agent/endpoints/ports.ts";
import type { Context } from "../../../agent/context.ts";
import { readRecord } from "../../../agent/files.ts";
import { isLocked } from "../../../agent/lock.ts";
import { isAlive } from "../../../agent/processes.ts";
import { Fault } from "../../../recipe/fault.ts";
import type { EndpointFacts, EndpointSpec } from "../../../recipe/protocol.ts";
import { EndpointFixture, until } from "./gateway-fixture.ts";
import { launchFakeGateway } from "./gateway-main.ts";

let fixture: EndpointFixture;
let context: Context & { readonly messages: string[] };
let launches: number;

beforeEach(async () => {
  fixture = await EndpointFixture.create();
  await fixture.pretendEnvironment();
  // Other tests look for a port from 8400 on at the same time.
  await keepPort(gatewayFiles(fixture.layout, fixture.experiment).port, await privatePort());
  const messages: string[] = [];
  const { signal } = new AbortController();
  launches = 0;
  context = {
    messages,
    signal,
    progress: ({ message }) => messages.push(message),
    log: (_, message) => messages.push(message),
    data: (line) => messages.push(line),
  };
});

afterEach(async () => {
  await endpointDelete(place(), context);
  await fixture[Symbol.asyncDispose]();
});

const place = () => ({ dataDirectory: fixture.layout.root, experiment: fixture.experiment });
const files = () => fixture.layout.endpoint(fixture.experiment);

function declare(changes: Partial<EndpointSpec> = {}): Promise<EndpointFacts> {
  const input = { dataDirectory: fixture.layout.root, spec: fixture.spec(changes) };
  return declareEndpoint(input, context, (layout, experiment) => {
    launches += 1;
    return launchFakeGateway(layout, experiment);
  });
}

function chat({ url, apiKey }: EndpointFacts): Promise<Response> {
  const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "hi" }] });
  return fetch(`${url}/v1/chat/completions`, { method: "POST", body, headers: { authorization: `Bearer ${apiKey}` } });
}

async function gatewayPid(): Promise<number> {
  const record = await readRecord(gatewayFiles(fixture.layout, fixture.experiment).gateway, gatewayRecord);
  return record!.gateway.pid;
}

async function enginePid(): Promise<number> {
  const facts = await endpointRead(place(), context);
  return facts!.status.models[0]!.enginePid!;
}

describe("endpoint-declare", () => {
  it("answers 503 with the reason as soon as it returns, and endpoint-wait follows until the model is ready", async () => {
    await fixture.trainRun();
    const facts = await declare();
    expect(facts.url).toBe(`http://127.0.0.1:${facts.status.port}`);
    expect(facts.models).toEqual(["demo"]);
    const answer = await chat(facts);
    expect(answer.status).toBe(503);
    const waiting = endpointWait(place(), context);
    await until(() => context.messages.some((message) => message.includes("step 12 of 24")));
    await fixture.completeRun();
    expect((await waiting).status.state).toBe("ready");
    expect((await chat(facts)).status).toBe(200);
  });

  it("makes a key that only its owner can read", async () => {
    const { apiKey } = await declare();
    expect(apiKey).toMatch(/^tuneup-[\w-]{43}$/);
    expect((await stat(files().key)).mode & 0o777).toBe(0o600);
    expect((await stat(files().directory)).mode & 0o777).toBe(0o700);
    for (const path of [files().spec, files().status, files().log]) {
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(readFileSync(path, "utf8")).not.toContain(apiKey);
    }
  });

  it("does nothing when nothing changed, also twice at once", async () => {
    await fixture.completeRun();
    const [first, second] = await Promise.all([declare(), declare()]);
    await endpointWait(place(), context);
    const third = await declare();
    expect([second.url, third.url]).toEqual([first.url, first.url]);
    expect([second.apiKey, third.apiKey]).toEqual([first.apiKey, first.apiKey]);
    expect(launches).toBe(1);
    expect(fixture.journal().filter(({ event }) => event === "started")).toHaveLength(1);
  });

  it("takes changed limits without touching gateway or engine", async () => {
    await fixture.completeRun();
    const facts = await declare();
    await endpointWait(place(), context);
    const before = [await gatewayPid(), await enginePid()];
    await declare({ limits: { requestsPerMinute: 1, queue: 1, bodyBytes: 1000, maxTokens: 5 } });
    expect((await chat(facts)).status).toBe(200);
    expect((await chat(facts)).status).toBe(429);
    expect([await gatewayPid(), await enginePid()]).toEqual(before);
  });

  it("restarts the gateway for anything else, with the same key and port", async () => {
    await fixture.completeRun();
    const first = await declare();
    await endpointWait(place(), context);
    const before = await gatewayPid();
    const second = await declare({ arguments: { temperature: 0.1 } });
    expect(await gatewayPid()).not.toBe(before);
    expect(isAlive(before)).toBe(false);
    expect([second.url, second.apiKey]).toEqual([first.url, first.apiKey]);
    expect((await endpointWait(place(), context)).status.state).toBe("ready");
  });

  it("brings a killed gateway back with the same key and port; no engine outlives the kill", async () => {
    await fixture.completeRun();
    const first = await declare();
    await endpointWait(place(), context);
    const engine = await enginePid();
    process.kill(await gatewayPid(), "SIGKILL");
    await until(() => !isAlive(engine));
    expect(await endpointRead(place(), context)).toMatchObject({ status: { state: "down" }, apiKey: first.apiKey });
    const second = await declare();
    expect([second.url, second.apiKey]).toEqual([first.url, first.apiKey]);
    expect((await endpointWait(place(), context)).status.state).toBe("ready");
  });

  it("tries again when the engine was given up", async () => {
    await fixture.behave({ failAtStart: true });
    await fixture.completeRun();
    await declare();
    expect((await endpointWait(place(), context)).status.state).toBe("failed");
    await fixture.behave({});
    await declare();
    expect((await endpointWait(place(), context)).status.state).toBe("ready");
  });

  it("refuses an engine that is not installed, with what to do", async () => {
    await expect(declare({ engine: "vllm" })).rejects.toMatchObject({
      code: "engine-unavailable",
      property: "serve.engine",
      next: expect.stringContaining("huggingface") as string,
    });
    expect(launches).toBe(0);
  });

  describe("with a port that somebody else holds", () => {
    let squatter: Server;
    let port: number;
    beforeEach(async () => {
      port = await privatePort();
      squatter = createServer();
      await new Promise<void>((resolve) => squatter.listen(port, "127.0.0.1", resolve));
    });
    afterEach(() => new Promise<void>((resolve) => void squatter.close(() => resolve())));

    it("refuses it, and leaves what runs alone", async () => {
      const first = await declare();
      const refused: unknown = await declare({ port }).catch((thrown: unknown) => thrown);
      expect(refused).toBeInstanceOf(Fault);
      expect(refused).toMatchObject({ code: "port-taken", property: "serve.port" });
      expect((refused as Fault).sentence).toContain(`${port} on 127.0.0.1 is taken`);
      expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
      expect((await endpointRead(place(), context))?.spec.port).toBe(0);
    });

    it("finds another where any will do", async () => {
      await mkdir(files().directory, { recursive: true });
      await writeFile(gatewayFiles(fixture.layout, fixture.experiment).port, `${port}\n`);
      const facts = await declare();
      expect(facts.status.port).not.toBe(port);
      expect(facts.status.port).toBeGreaterThanOrEqual(8400);
    });
  });
});

describe("endpoint-read", () => {
  it("knows nothing of an endpoint that was never declared", async () => {
    expect(await endpointRead(place(), context)).toBeNull();
  });

  it.each(["", "{", '{"schemaVersion": 99}'])("survives a torn status.json: %j", async (text) => {
    await declare();
    await writeFile(files().status, text);
    expect(await endpointRead(place(), context)).toMatchObject({ status: { state: "waiting" } });
    process.kill(await gatewayPid(), "SIGKILL");
    await until(() => !isLocked(files().lock));
    await writeFile(files().status, text);
    const facts = await endpointRead(place(), context);
    expect(facts).toMatchObject({ status: { state: "down" }, spec: fixture.spec() });
    expect(facts?.status.port).toBeGreaterThan(0);
  });
});

describe("endpoint-wait", () => {
  it("fails with the run's own fault", async () => {
    const fault = { code: "out-of-memory", message: "It needs more memory.", next: "Use a smaller batch." };
    await fixture.trainRun({ state: "failed", fault });
    await declare();
    await expect(endpointWait(place(), context)).rejects.toMatchObject({
      code: "run-failed",
      message: fault.message,
      next: fault.next,
    });
  });

  it("fails when nothing runs", async () => {
    await declare();
    await endpointDelete(place(), context);
    await expect(endpointWait(place(), context)).rejects.toMatchObject({ code: "endpoint-down" });
  });
});

describe("endpoint-delete", () => {
  it("ends gateway and engine, keeps key and port, and can be repeated", async () => {
    await fixture.completeRun();
    const first = await declare();
    await endpointWait(place(), context);
    const pids = [await gatewayPid(), await enginePid()];
    await endpointDelete(place(), context);
    expect(pids.map(isAlive)).toEqual([false, false]);
    await endpointDelete(place(), context);
    const read = await endpointRead(place(), context);
    expect(read).toMatchObject({ status: { state: "stopped" }, apiKey: first.apiKey });
    const second = await declare();
    expect([second.url, second.apiKey]).toEqual([first.url, first.apiKey]);
  });

  it("ends a gateway that is stopped and hears nothing", async () => {
    await declare();
    const pid = await gatewayPid();
    process.kill(pid, "SIGSTOP");
    await deleteEndpoint(place(), 300);
    expect(isAlive(pid)).toBe(false);
  });

  it("does nothing where there is nothing", async () => {
    await rm(files().directory, { recursive: true });
    expect(await endpointDelete(place(), context)).toEqual({});
    expect(existsSync(files().directory)).toBe(false);
  });
});

describe("endpoint-rotate-key", () => {
  it("lets the new key in and the old one out at once, without a restart", async () => {
    await fixture.completeRun();
    const before = await declare();
    await endpointWait(place(), context);
    const pid = await gatewayPid();
    const after = await endpointRotateKey(place(), context);
    expect(after.apiKey).not.toBe(before.apiKey);
    expect((await chat(before)).status).toBe(401);
    expect((await chat(after)).status).toBe(200);
    expect(await gatewayPid()).toBe(pid);
    expect((await stat(files().key)).mode & 0o777).toBe(0o600);
  });

  it("says that there is no such endpoint", async () => {
    await expect(endpointRotateKey(place(), context)).rejects.toMatchObject({ code: "endpoint-unknown" });
  });
});
