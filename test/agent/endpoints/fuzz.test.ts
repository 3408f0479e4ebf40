import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { endpointStatus } from "../../../recipe/lifecycle.ts";
import { readRecord } from "../../../agent/files.ts";
import { fuzzedRequests, type FuzzedRequest, promptMark, unkeyedMark } from "./fuzz-requests.ts";
import { until } from "./gateway-fixture.ts";
import { type GatewayProcess, startGatewayProcess } from "./gateway-process.ts";

const count = 10_000;
/** A gateway that says nothing for this long waits for more. No verdict hangs on it: the client leaves. */
const silence = 150;

/** All that came back on the connection until the gateway closed it, answered in full, or fell silent. */
async function exchange(port: number, { pieces, leaves }: FuzzedRequest): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const said: Buffer[] = [];
  const over = new Promise<void>((resolve) => {
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
    socket.on("data", (bytes) => {
      said.push(bytes);
      if (isWhole(Buffer.concat(said).toString("latin1"))) resolve();
    });
    socket.on("timeout", () => resolve());
  });
  await write(socket, pieces);
  if (!leaves) {
    socket.setTimeout(silence);
    await over;
  }
  socket.destroy();
  return Buffer.concat(said).toString("latin1");
}

async function write(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
    await turn();
  }
}

function isWhole(said: string): boolean {
  const end = said.indexOf("\r\n\r\n");
  if (end < 0 || said.startsWith("HTTP/1.1 100")) return false;
  const length = /^content-length: (\d+)/im.exec(said.slice(0, end))?.[1];
  if (length !== undefined) return said.length >= end + 4 + Number(length);
  return said.endsWith("0\r\n\r\n");
}

/** Statuses of all answers in it. */
const statusesIn = (said: string) => [...said.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));

/** What only the key may open. */
const behindKey = /"object": ?"(chat\.completion|list)|\{"experiment":|data: \[DONE\]/;

async function enginePid({ fixture }: GatewayProcess): Promise<number | undefined> {
  const status = await readRecord(fixture.layout.endpoint(fixture.experiment).status, endpointStatus);
  return status?.models[0]?.enginePid;
}

it(`${count} bad requests: no 5xx, no crash, nothing behind the allow-list, nothing without the key`, async () => {
  await using gateway = await startGatewayProcess({
    limits: { requestsPerMinute: 10_000_000, queue: 200, bodyBytes: 20_000, maxTokens: 4 },
    places: 8,
  });
  const engine = await enginePid(gateway);
  const descriptors = gateway.descriptors();
  const requests = fuzzedRequests(count, 20_261_124, gateway.apiKey);
  const seen = new Map<number, number>();
  const wrong: string[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const said = await exchange(gateway.port, request);
      const statuses = statusesIn(said);
      for (const status of statuses) seen.set(status, (seen.get(status) ?? 0) + 1);
      const bad = statuses.some((status) => status >= 500) || (!request.keyed && behindKey.test(said));
      if (bad)
        wrong.push(`${Buffer.concat(request.pieces).toString("latin1").slice(0, 1500)}\n-> ${said.slice(0, 500)}`);
    }
  };
  await Promise.all(Array.from({ length: 64 }, client));
  expect(wrong).toEqual([]);
  // The bad ones are of all kinds, and good ones were among them.
  for (const status of [200, 400, 401, 403, 404, 405, 431]) expect([...seen.keys()]).toContain(status);
  const journal = gateway.fixture.journal();
  expect(journal.filter(({ event }) => event === "strayed")).toEqual([]);
  const asked = JSON.stringify(journal);
  expect(asked).toContain(promptMark);
  expect(asked).not.toContain(unkeyedMark);
  expect(asked).not.toContain(gateway.apiKey);
  // What clients that left did not hear: the gateway's own count.
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics.split("\n").filter((line) => /completions",status="5/.test(line))).toEqual([]);
  expect(gateway.isOver()).toBe(false);
  expect(await enginePid(gateway)).toBe(engine);
  await until(() => gateway.generations() === 0 && gateway.descriptors() <= descriptors, 60_000);
  const log = readFileSync(gateway.log, "utf8");
  for (const word of [promptMark, unkeyedMark, gateway.apiKey]) expect(log).not.toContain(word);
});
