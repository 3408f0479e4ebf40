import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  declareEndpoint,
  endpointDelete,
  endpointRead,
  endpointRotateKey,
  endpointWait,
} from "../../../agent/endpoints/commands.ts";
import { gatewayFiles, recordsVariable } from "../../../agent/endpoints/endpoint-records.ts";
import { logLimit, logTo } from "../../../agent/endpoints/gateway-log.ts";
import { type Gateway, openGateway } from "../../../agent/endpoints/gateway.ts";
import { keepPort, privatePort } from "../../../agent/endpoints/ports.ts";
import type { EndpointSpec } from "../../../recipe/protocol.ts";
import { listen } from "../context.ts";
import { EndpointFixture, quickTiming, until } from "./gateway-fixture.ts";

let fixture: EndpointFixture;
let folder: string;
let gateways: Gateway[];

beforeEach(async () => {
  fixture = await EndpointFixture.create();
  await fixture.pretendEnvironment();
  folder = mkdtempSync(join(tmpdir(), "tuneup-records-"));
  gateways = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(gateways.map((gateway) => gateway.close()));
  rmSync(folder, { recursive: true });
  await fixture[Symbol.asyncDispose]();
});

const place = () => ({ dataDirectory: fixture.layout.root, experiment: fixture.experiment });
const read = () => endpointRead(place(), listen());

function declare(changes: Partial<EndpointSpec> = {}) {
  const spec = fixture.spec({ gateway: "pod", ...changes });
  return declareEndpoint({ dataDirectory: fixture.layout.root, spec }, listen(), () => {
    throw new Error("A gateway was started outside of a Pod.");
  });
}

/** Gateway of one Pod, with records of its own. */
async function openPod(name: string, drain = 5000): Promise<{ gateway: Gateway; records: string }> {
  const records = join(folder, name);
  await keepPort(gatewayFiles(fixture.layout, fixture.experiment, records).port, await privatePort());
  const gateway = await openGateway({
    ...place(),
    records,
    kind: fixture.kind,
    timing: { ...quickTiming, drain },
    log: () => undefined,
  });
  gateways.push(gateway);
  return { gateway, records };
}

const isReady = async ({ url }: Gateway) => (await fetch(`${url}/readyz`)).ok;

function chat({ url }: Gateway, apiKey: string): Promise<Response> {
  const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "hi" }] });
  return fetch(`${url}/v1/chat/completions`, { method: "POST", body, headers: { authorization: `Bearer ${apiKey}` } });
}

describe("an endpoint whose gateways are Pods", () => {
  it("is only declared: key and spec are there, nothing is started, and it is never called down", async () => {
    const facts = await declare({ port: 8400, host: "0.0.0.0" });
    expect(facts.status).toMatchObject({ state: "starting", port: 8400, detail: "Its Pods start." });
    expect(facts.apiKey).toMatch(/^tuneup-/);
    expect((await stat(fixture.layout.endpoint(fixture.experiment).key)).mode & 0o777).toBe(0o600);
    expect((await read())?.status.state).toBe("starting");
    await declare({ port: 8400, arguments: { temperature: 0.1 } });
    expect((await read())?.spec.arguments).toEqual({ temperature: 0.1 });
  });

  it("is stopped when it is deleted, and comes back with the same key", async () => {
    const { apiKey } = await declare();
    await endpointDelete(place(), listen());
    expect((await read())?.status.state).toBe("stopped");
    await expect(endpointWait(place(), listen())).rejects.toMatchObject({ code: "endpoint-down" });
    expect(await declare()).toMatchObject({ apiKey, status: { state: "starting" } });
  });

  it("has gateways side by side, each with its own records, which commands in its Pod find", async () => {
    await fixture.completeRun();
    await declare();
    const common = await readFile(fixture.layout.endpoint(fixture.experiment).status, "utf8");
    const [one, two] = [await openPod("one"), await openPod("two")];
    await until(async () => (await isReady(one.gateway)) && (await isReady(two.gateway)));
    for (const { gateway, records } of [one, two]) {
      vi.stubEnv(recordsVariable, records);
      expect(await endpointWait(place(), listen())).toMatchObject({ url: gateway.url, status: { state: "ready" } });
    }
    vi.unstubAllEnvs();
    expect((await read())?.status.state).toBe("starting");
    expect(await readFile(fixture.layout.endpoint(fixture.experiment).status, "utf8")).toBe(common);

    await one.gateway.close();
    const { apiKey } = (await read())!;
    expect((await chat(two.gateway, apiKey)).status).toBe(200);
  });

  it("takes a new key in all gateways at once, wherever it was changed", async () => {
    await fixture.completeRun();
    const before = await declare();
    const pods = [await openPod("one"), await openPod("two")];
    await until(async () => (await Promise.all(pods.map(({ gateway }) => isReady(gateway)))).every(Boolean));
    vi.stubEnv(recordsVariable, pods[0]!.records);
    const after = await endpointRotateKey(place(), listen());
    for (const { gateway } of pods) {
      expect((await chat(gateway, before.apiKey)).status).toBe(401);
      expect((await chat(gateway, after.apiKey)).status).toBe(200);
    }
  });

  it("finishes what it answers when its Pod is ended, and sends clients with an open connection elsewhere", async () => {
    await fixture.completeRun();
    const { apiKey } = await declare();
    await fixture.behave({ pieces: ["a", "b", "c", "d"], pieceDelay: 100 });
    const { gateway } = await openPod("one", 20_000);
    await until(() => isReady(gateway));
    const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
    const heard = text(socket);
    const head = `Host: 127.0.0.1\r\nAuthorization: Bearer ${apiKey}`;
    const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "hi" }] });
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await until(() => fixture.journal().some(({ event }) => event === "asked"));
    const closing = gateway.close();
    socket.write(`GET /v1/models HTTP/1.1\r\n${head}\r\n\r\n`);
    const [first = "", second = "", ...more] = (await heard).split("HTTP/1.1 200 OK\r\n").slice(1);
    expect(first).toContain("abcd");
    expect(second).toContain("Connection: close");
    expect(more).toEqual([]);
    await closing;
    await expect(chat(gateway, apiKey)).rejects.toThrow();
  });
});

describe("the log of a gateway in a Pod", () => {
  it("goes to stdout and to its file, which makes room for itself", () => {
    const path = join(folder, "pod", "gateway.log");
    const said: string[] = [];
    logTo(path, (line) => said.push(line))("Listening.");
    expect(said).toEqual([expect.stringMatching(/^\S+Z Listening\.$/)]);
    expect(readFileSync(path, "utf8")).toBe(`${said[0] ?? ""}\n`);
    writeFileSync(path, Buffer.alloc(logLimit + 1));
    logTo(path, () => undefined)("anew");
    expect(readFileSync(path, "utf8")).toMatch(/^\S+Z anew\n$/);
    expect(readFileSync(`${path}.1`)).toHaveLength(logLimit + 1);
  });
});
