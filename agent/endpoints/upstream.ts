import { type IncomingMessage, request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { HttpError } from "./openai-error.ts";
import { eventData } from "./server-sent-events.ts";

/** Where an engine listens. */
export interface Upstream {
  readonly port: number;
  readonly key: string;
}

const usage = z.object({ prompt_tokens: z.int(), completion_tokens: z.int() });
export type Usage = z.infer<typeof usage>;

const chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish(), tool_calls: z.array(z.unknown()).nullish() }),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  usage: usage.nullish(),
  error: z.object({ message: z.string() }).optional(),
});

/** One event of an engine's stream. */
export interface Piece {
  readonly text?: string;
  readonly toolCalls?: readonly unknown[];
  readonly finish?: string;
  /** Counted by the engine, up to here. */
  readonly usage?: Usage;
}

/** The engine is gone, or gone silent, in the middle of an answer. */
export class EngineLost extends Error {
  readonly hangs: boolean;

  constructor(message: string, hangs = false) {
    super(message);
    this.hangs = hangs;
  }
}

/**
 * Asks an engine and gives its stream piece by piece. The engine's connection is closed, and with it its generation,
 * when the reader stops or `signal` aborts. Throws EngineLost if it is silent for `stall` ms or ends too early.
 */
export async function* askEngine(
  upstream: Upstream,
  body: Readonly<Record<string, unknown>>,
  options: { readonly signal: AbortSignal; readonly stall: number },
): AsyncGenerator<Piece> {
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  const asked = { ...body, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } };
  try {
    const response = await within(options.stall, send(upstream, "/v1/chat/completions", asked, signal));
    if (response.statusCode !== 200) throw await refusal(response);
    const events: AsyncIterator<string, undefined> = eventData(response as AsyncIterable<Buffer>)[
      Symbol.asyncIterator
    ]();
    for (;;) {
      const { value, done } = await within(options.stall, events.next());
      if (done === true) throw new EngineLost("broke off");
      if (value === "[DONE]") return;
      yield pieceOf(value);
    }
  } catch (thrown) {
    options.signal.throwIfAborted();
    if (thrown instanceof HttpError || thrown instanceof EngineLost) throw thrown;
    throw new EngineLost("ended", false);
  } finally {
    abort.abort();
  }
}

/** Does the engine answer at all? */
export async function isListening(upstream: Upstream, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await send(
      upstream,
      "/v1/models",
      undefined,
      AbortSignal.any([signal, AbortSignal.timeout(5000)]),
    );
    response.resume();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

function send({ port, key }: Upstream, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = body === undefined ? "" : JSON.stringify(body);
    const request = httpRequest({
      host: "127.0.0.1",
      port,
      path,
      method: body === undefined ? "GET" : "POST",
      agent: false,
      signal,
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(sent),
      },
    });
    request.on("error", reject);
    request.on("response", resolve);
    request.end(sent);
  });
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new EngineLost("hangs", true)), milliseconds);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function pieceOf(data: string): Piece {
  const parsed = chunk.parse(JSON.parse(data));
  if (parsed.error !== undefined) throw new HttpError(500, "engine_error", parsed.error.message);
  const choice = parsed.choices[0];
  const { content, tool_calls: toolCalls } = choice?.delta ?? {};
  return {
    ...(content ? { text: content } : {}),
    ...(toolCalls ? { toolCalls } : {}),
    ...(choice?.finish_reason ? { finish: choice.finish_reason } : {}),
    ...(parsed.usage ? { usage: parsed.usage } : {}),
  };
}

const detail = z.union([
  z.object({ detail: z.string() }).transform((body) => body.detail),
  z.object({ error: z.object({ message: z.string() }) }).transform((body) => body.error.message),
  z.object({ message: z.string() }).transform((body) => body.message),
]);

/** What the engine found wrong with the request, as ours; its own failures stay its own. */
async function refusal(response: IncomingMessage): Promise<Error> {
  const said = await text(response);
  let message = "The engine refused this request.";
  try {
    message = detail.parse(JSON.parse(said));
  } catch {
    // Not in a shape we know: the general sentence stands.
  }
  const theirs = response.statusCode === 400 || response.statusCode === 422;
  if (theirs) return new HttpError(400, "invalid_value", message, { param: "messages" });
  return new HttpError(500, "engine_error", `The engine failed with status ${response.statusCode ?? 0}.`);
}
