import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";

/**
 * Stands in for LLaMA-Factory's API behind serve.py: the same routes, the same stream, no model. It reads how to behave
 * from the file FAKE_BEHAVIOUR at each request, so that a test can change its mind, and notes in FAKE_JOURNAL what it
 * was asked and when a generation was cut off.
 */
export const fakeBehaviour = z.object({
  /** The pieces of every answer; one piece counts as one token. Default: `You said: ` and the last user's text. */
  pieces: z.array(z.string()).optional(),
  /** Milliseconds before each piece. */
  pieceDelay: z.number().default(0),
  /** Ends with code 7 before it listens. */
  failAtStart: z.boolean().default(false),
  /** Milliseconds of loading. */
  loadDelay: z.number().default(0),
  /** Ends in the middle of an answer, after this many pieces. A probe (max_tokens 1) is spared. */
  crashAfter: z.number().optional(),
  /** Accepts requests and never answers them. */
  hang: z.boolean().default(false),
});
export type FakeBehaviour = z.input<typeof fakeBehaviour>;

export type JournalEntry =
  | { readonly event: "started"; readonly pid: number; readonly model: string }
  | { readonly event: "asked"; readonly body: Record<string, unknown> }
  | { readonly event: "cut"; readonly after: number }
  | { readonly event: "finished" }
  /** A path that the gateway has no business with. */
  | { readonly event: "strayed"; readonly path: string };

const request = z.looseObject({
  model: z.string(),
  max_tokens: z.int().optional(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.string().nullable() })),
});

function behaviour(): z.output<typeof fakeBehaviour> {
  const path = process.env["FAKE_BEHAVIOUR"] ?? "";
  return fakeBehaviour.parse(existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {});
}

function note(entry: JournalEntry): void {
  appendFileSync(process.env["FAKE_JOURNAL"] ?? "/dev/null", `${JSON.stringify(entry)}\n`);
}

async function complete(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = request.parse(JSON.parse(await text(incoming)));
  const { hang, pieces, pieceDelay, crashAfter } = behaviour();
  const probe = body.max_tokens === 1;
  if (!probe) note({ event: "asked", body });
  if (hang) return;
  const question = body.messages.findLast(({ role }) => role === "user")?.content ?? "";
  const all = pieces ?? ["You ", "said: ", ...question.split(/(?<= )/)];
  const said = all.slice(0, body.max_tokens ?? all.length);
  const prompt = body.messages
    .map(({ content }) => content ?? "")
    .join(" ")
    .split(" ").length;
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (delta: object, tokens: number, finish: string | null = null): void => {
    const choices = [{ index: 0, delta, finish_reason: finish }];
    const usage = { prompt_tokens: prompt, completion_tokens: tokens, total_tokens: prompt + tokens };
    const chunk = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: body.model, choices, usage };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  send({ role: "assistant", content: "" }, 0);
  for (const [index, piece] of said.entries()) {
    // After the delay, so that what was sent before has left.
    if (pieceDelay > 0) await delay(pieceDelay);
    if (index === crashAfter && !probe) process.exit(7);
    if (response.destroyed) {
      note({ event: "cut", after: index });
      return;
    }
    send({ content: piece }, index + 1);
  }
  send({}, said.length, said.length < all.length ? "length" : "stop");
  response.end("data: [DONE]\n\n");
  if (!probe) note({ event: "finished" });
}

function answer(incoming: IncomingMessage, response: ServerResponse): void {
  const known = ["GET /v1/models", "POST /v1/chat/completions"];
  const path = `${incoming.method ?? ""} ${incoming.url ?? ""}`;
  if (!known.includes(path)) note({ event: "strayed", path });
  if (incoming.headers.authorization !== `Bearer ${process.env["API_KEY"] ?? ""}`) {
    response.writeHead(401).end(JSON.stringify({ detail: "Invalid API key." }));
  } else if (incoming.url === "/v1/models") {
    response.writeHead(200).end(JSON.stringify({ object: "list", data: [{ id: process.env["API_MODEL_NAME"] }] }));
  } else {
    void complete(incoming, response);
  }
}

if (process.argv[1] === import.meta.filename) {
  console.log("fake engine: loading");
  note({ event: "started", pid: process.pid, model: process.env["API_MODEL_NAME"] ?? "" });
  const { failAtStart, loadDelay } = behaviour();
  if (failAtStart) {
    console.log("RuntimeError: the fake engine was told to fail");
    process.exit(7);
  }
  await delay(loadDelay);
  createServer(answer).listen(Number(process.env["API_PORT"]), process.env["API_HOST"]);
}
