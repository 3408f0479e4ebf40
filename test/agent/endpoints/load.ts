import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { GatewayProcess } from "./gateway-process.ts";

/** What became of the requests of a load. */
export interface LoadFigures {
  sent: number;
  /** Answered to the end. */
  answered: number;
  /** 429. */
  full: number;
  /** 503. */
  unready: number;
  /** Malformed ones that got the 4xx that is theirs. */
  refused: number;
  /** Left by the client in the middle of the answer. */
  left: number;
  /** Everything that should not have been, in words. */
  readonly wrong: string[];
}

export interface Load {
  readonly clients: number;
  /** Ends after as many requests. */
  readonly requests?: number;
  /** Ends after so long. */
  readonly seconds?: number;
  readonly seed: number;
}

/** Numbers from 0 to 1, the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Deed = (client: Client) => Promise<void>;

interface Client {
  readonly gateway: GatewayProcess;
  readonly agent: Agent;
  readonly random: () => number;
  readonly figures: LoadFigures;
}

/** Runs a load: of all requests 10 % leave in the middle of their answer and 5 % are malformed; the others want one. */
export async function runLoad(gateway: GatewayProcess, load: Load): Promise<LoadFigures> {
  const figures: LoadFigures = { sent: 0, answered: 0, full: 0, unready: 0, refused: 0, left: 0, wrong: [] };
  const agent = new Agent({ keepAlive: true, maxSockets: load.clients });
  const random = randomFrom(load.seed);
  const end = performance.now() + (load.seconds ?? Infinity) * 1000;
  const client = async (): Promise<void> => {
    while (figures.sent < (load.requests ?? Infinity) && performance.now() < end) {
      figures.sent += 1;
      const draw = random();
      const deed: Deed = draw < 0.1 ? leave : draw < 0.15 ? malformed : ordinary;
      try {
        await deed({ gateway, agent, random, figures });
      } catch (thrown) {
        figures.wrong.push(`${deed.name}: ${String(thrown)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: load.clients }, client));
  agent.destroy();
  return figures;
}

async function ordinary(client: Client): Promise<void> {
  const stream = client.random() < 0.5;
  const response = await answerTo(post(client, chat(stream)));
  const said = await text(response);
  const whole = stream ? said.endsWith("data: [DONE]\n\n") : said.includes('"finish_reason":"stop"');
  if (response.statusCode === 200 && whole && !said.includes('"error"')) client.figures.answered += 1;
  else await refusedFor(response, said, client);
}

/** The client goes away while the answer streams. */
async function leave(client: Client): Promise<void> {
  const request = post(client, chat(true), false);
  const response = await answerTo(request);
  if (response.statusCode !== 200) return refusedFor(response, await text(response), client);
  await once(response, "data");
  client.figures.left += 1;
  request.destroy();
}

async function malformed(client: Client): Promise<void> {
  const bodies = [
    "{",
    "[]",
    "\u0000",
    JSON.stringify({ model: 1 }),
    JSON.stringify({ model: "demo", messages: [] }),
    JSON.stringify({ model: "other", messages: [{ role: "user", content: "hi" }] }),
    "x".repeat(30_000),
  ];
  const response = await answerTo(post(client, bodies[Math.floor(client.random() * bodies.length)] ?? "", false));
  const said = await text(response);
  const { statusCode = 0 } = response;
  if (statusCode >= 400 && statusCode < 500) client.figures.refused += 1;
  else client.figures.wrong.push(`malformed: ${statusCode} ${said.slice(0, 200)}`);
}

async function refusedFor({ statusCode, headers }: IncomingMessage, said: string, { figures }: Client): Promise<void> {
  if ((statusCode !== 429 && statusCode !== 503) || headers["retry-after"] === undefined) {
    figures.wrong.push(`${statusCode ?? 0} ${said.slice(-200)}`);
    return;
  }
  if (statusCode === 429) figures.full += 1;
  else figures.unready += 1;
  // An impatient client: it does not wait the seconds that Retry-After says.
  await delay(20);
}

function chat(stream: boolean): string {
  return JSON.stringify({
    model: "demo",
    stream,
    messages: [{ role: "user", content: "one two three four five six" }],
  });
}

function post({ gateway, agent }: Client, body: string, keep = true): ClientRequest {
  const headers = { authorization: `Bearer ${gateway.apiKey}`, "content-length": Buffer.byteLength(body) };
  const path = "/v1/chat/completions";
  const way = keep ? agent : false;
  const request = httpRequest({ host: "127.0.0.1", port: gateway.port, path, method: "POST", agent: way, headers });
  request.end(body);
  return request;
}

async function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, "response")) as [IncomingMessage];
  // Who leaves hears of it no more.
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  return response;
}
