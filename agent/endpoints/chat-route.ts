import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { Answer } from "./answer.ts";
import { type ChatRequest, readChatRequest } from "./chat-request.ts";
import { clientGone, readBody, safeHeaders, sendJson, writePiece } from "./http.ts";
import type { Rate } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import { HttpError } from "./openai-error.ts";
import type { ServedModels } from "./served-models.ts";
import type { Timing } from "./timing.ts";
import type { Usage } from "./upstream.ts";

export interface ChatRouteOptions {
  readonly models: ServedModels;
  readonly metrics: Metrics;
  readonly rate: Rate;
  readonly timing: Timing;
  readonly limits: () => EndpointSpec["limits"];
  /** Aborted when the gateway ends and its patience with answers under way is over. */
  readonly ending: AbortSignal;
}

/** What the log may say of a completion: counts, never words. */
export interface CompletionFacts {
  model?: string;
  usage?: Usage;
}

/** `POST /v1/chat/completions`. Fills `facts` as they become known. */
export async function answerChat(
  request: IncomingMessage,
  response: ServerResponse,
  options: ChatRouteOptions,
  facts: CompletionFacts,
): Promise<void> {
  const { models, metrics, rate, timing, limits, ending } = options;
  const { bodyBytes, maxTokens } = limits();
  const chat = readChatRequest(await readBody(request, response, bodyBytes, timing.client), maxTokens);
  const engine = models.find(chat.model);
  facts.model = chat.model;
  rate.take();
  const gone = new AbortController();
  const leave = (): void => gone.abort(clientGone());
  response.once("close", leave);
  const signal = AbortSignal.any([gone.signal, ending]);
  const startedAt = performance.now();
  const release = await engine.places.take(signal);
  const answer = new Answer(engine, chat, signal);
  try {
    const reply = new Reply(chat, answer, response, { timing, signal, metrics, startedAt });
    await (chat.stream ? reply.stream() : reply.whole());
    metrics.completed((performance.now() - startedAt) / 1000);
  } finally {
    response.off("close", leave);
    release();
    if (answer.usage !== undefined) {
      facts.usage = answer.usage;
      metrics.tokens(chat.model, answer.usage.prompt_tokens, answer.usage.completion_tokens);
    }
  }
}

interface Delivery {
  readonly timing: Timing;
  readonly signal: AbortSignal;
  readonly metrics: Metrics;
  readonly startedAt: number;
}

/** One answer in OpenAI's shapes. */
class Reply {
  readonly #chat: ChatRequest;
  readonly #answer: Answer;
  readonly #response: ServerResponse;
  readonly #delivery: Delivery;
  readonly #common: { readonly id: string; readonly created: number; readonly model: string };
  #begun = false;

  constructor(chat: ChatRequest, answer: Answer, response: ServerResponse, delivery: Delivery) {
    this.#chat = chat;
    this.#answer = answer;
    this.#response = response;
    this.#delivery = delivery;
    this.#common = {
      id: `chatcmpl-${randomUUID().replaceAll("-", "")}`,
      created: Math.floor(Date.now() / 1000),
      model: chat.model,
    };
  }

  /** The whole answer at once. */
  async whole(): Promise<void> {
    let content = "";
    const calls: unknown[] = [];
    for await (const shown of this.#answer.shown()) {
      this.#firstShown();
      if ("text" in shown) content += shown.text;
      else calls.push(...shown.toolCalls);
    }
    const message = { role: "assistant", content: calls.length > 0 ? null : content, refusal: null };
    sendJson(this.#response, 200, {
      ...this.#common,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: calls.length > 0 ? { ...message, tool_calls: calls } : message,
          logprobs: null,
          finish_reason: this.#answer.finish,
        },
      ],
      ...this.#usage(),
    });
  }

  /** Piece by piece, as server-sent events. */
  async stream(): Promise<void> {
    for await (const shown of this.#answer.shown()) {
      this.#firstShown();
      await this.#begin();
      await this.#delta("text" in shown ? { content: shown.text } : { tool_calls: shown.toolCalls }, null);
    }
    await this.#begin();
    await this.#delta({}, this.#answer.finish);
    if (this.#chat.includeUsage) await this.#chunk({ choices: [], ...this.#usage() });
    this.#response.end("data: [DONE]\n\n");
  }

  /** The head is sent with the first piece and not before: until then a failure still has a status of its own. */
  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    this.#response.writeHead(200, {
      ...safeHeaders,
      "Content-Type": "text/event-stream; charset=utf-8",
      "X-Accel-Buffering": "no",
    });
    await this.#delta({ role: "assistant", content: "" }, null);
  }

  #delta(delta: Readonly<Record<string, unknown>>, finish: string | null): Promise<void> {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
    return this.#chunk({ choices, ...(this.#chat.includeUsage ? { usage: null } : {}) });
  }

  #chunk(fields: Readonly<Record<string, unknown>>): Promise<void> {
    const chunk = { ...this.#common, object: "chat.completion.chunk", ...fields };
    const { timing, signal } = this.#delivery;
    return writePiece(this.#response, `data: ${JSON.stringify(chunk)}\n\n`, timing.client, signal);
  }

  #usage(): object {
    const { usage } = this.#answer;
    // What the engine did not count is not told.
    if (usage === undefined) return {};
    const { prompt_tokens: prompt, completion_tokens: completion } = usage;
    return {
      usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
    };
  }

  #shownBefore = false;

  #firstShown(): void {
    if (this.#shownBefore) return;
    this.#shownBefore = true;
    this.#delivery.metrics.firstToken((performance.now() - this.#delivery.startedAt) / 1000);
  }
}

/** What waiting and running requests get when the gateway ends. */
export function endingError(): HttpError {
  return new HttpError(503, "shutting_down", "The endpoint is being taken down or restarted.", {
    headers: { "Retry-After": "5" },
  });
}
