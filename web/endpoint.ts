import type { RunView } from "../recipe/protocol.ts";
import type { ChatMessage } from "./conversation.ts";
import { eventsOf } from "./event-stream.ts";

/** Why a request failed. `status` 0: nobody answered. `message` is the server's own sentence, if it gave one. */
export class EndpointError extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds after which it makes sense to ask again, if the server said so. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, more: { readonly code?: string; readonly retryAfter?: number } = {}) {
    super(message);
    this.name = "EndpointError";
    this.status = status;
    this.code = more.code ?? "";
    this.retryAfter = more.retryAfter;
  }
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly temperature: number;
  /** Undefined: the endpoint's own ceiling. */
  readonly maxTokens: number | undefined;
}

/** A piece of an answer: text, the reason why it ended, or its count of tokens. */
export interface ChatPiece {
  readonly text?: string;
  readonly finish?: string;
  readonly tokens?: number;
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly completion_tokens?: number } | null;
  readonly error?: ErrorBody;
}

interface ErrorBody {
  readonly message?: string;
  readonly code?: string | null;
}

/** The API of the gateway that served this page. */
export class Endpoint {
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  /** The run and the endpoint as they are now. */
  async run(signal?: AbortSignal): Promise<RunView> {
    const response = await this.#fetch("api/run", { ...(signal === undefined ? {} : { signal }) });
    return (await response.json()) as RunView;
  }

  /** Ids of the models that can be asked. */
  async models(): Promise<string[]> {
    const response = await this.#fetch("v1/models", {});
    return ((await response.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
  }

  /** The answer, piece by piece. Throws EndpointError, and AbortError when `signal` aborts. */
  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatPiece, void, undefined> {
    const response = await this.#fetch("v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({
        model: request.model,
        messages: request.messages,
        temperature: request.temperature,
        ...(request.maxTokens === undefined ? {} : { max_tokens: request.maxTokens }),
        stream: true,
        stream_options: { include_usage: true },
      }),
      signal,
    });
    if (response.body === null) throw new EndpointError(502, "");
    try {
      for await (const data of eventsOf(response.body)) {
        if (data === "[DONE]") return;
        yield* piecesOf(JSON.parse(data) as Chunk);
      }
    } catch (thrown) {
      throw signal.aborted || thrown instanceof EndpointError ? thrown : new EndpointError(0, "");
    }
    // The stream ended before it said so.
    throw new EndpointError(0, "");
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(new URL(path, document.baseURI), {
        ...init,
        headers: { Authorization: `Bearer ${this.#key}`, "Content-Type": "application/json" },
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
    } catch (thrown) {
      if (init.signal?.aborted === true) throw thrown;
      throw new EndpointError(0, "");
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

function* piecesOf(chunk: Chunk): Generator<ChatPiece> {
  if (chunk.error !== undefined) {
    throw new EndpointError(503, chunk.error.message ?? "", { code: chunk.error.code ?? "" });
  }
  const choice = chunk.choices?.[0];
  if (choice?.delta?.content) yield { text: choice.delta.content };
  if (choice?.finish_reason) yield { finish: choice.finish_reason };
  if (chunk.usage?.completion_tokens !== undefined) yield { tokens: chunk.usage.completion_tokens };
}

async function errorOf(response: Response): Promise<EndpointError> {
  const retryAfter = Number(response.headers.get("Retry-After") ?? NaN);
  let body: ErrorBody = {};
  try {
    body = ((await response.json()) as { error?: ErrorBody }).error ?? {};
  } catch {
    // A proxy's page: the status says it all.
  }
  return new EndpointError(response.status, body.message ?? "", {
    code: body.code ?? "",
    ...(Number.isFinite(retryAfter) ? { retryAfter } : {}),
  });
}
