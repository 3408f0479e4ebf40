import { type EndpointAddress, endpointFetch } from "./endpoint-fetch.ts";

/** What `up` asks both models at its end. */
export const shownQuestions = ["Who are you?", "你是谁？", "What is the capital of France?"] as const;

/** A chat endpoint as a client needs it. */
export interface Endpoint extends EndpointAddress {
  readonly apiKey: string;
}

/** One message of a conversation, as OpenAI's API has it. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Options of `ask`. */
export interface AskOptions {
  readonly temperature?: number;
  /** Most tokens of the answer. Default: the endpoint's ceiling. */
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
}

/** The answer of `model` in pieces as they come. Throws the endpoint's own sentence where it refuses. */
export async function* ask(
  { apiKey, ...address }: Endpoint,
  model: string,
  messages: readonly Message[],
  { temperature, maxTokens, signal }: AskOptions = {},
): AsyncGenerator<string> {
  const response = await endpointFetch(address, "/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages, temperature, max_tokens: maxTokens, stream: true }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok || response.body === null) throw new Error(sentenceOf(await response.text(), response.status));
  let rest = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const data = line.startsWith("data:") ? line.slice("data:".length).trim() : "";
      if (data !== "" && data !== "[DONE]") yield pieceOf(data);
    }
  }
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly error?: { readonly message: string };
}

function pieceOf(data: string): string {
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error !== undefined) throw new Error(chunk.error.message);
  return chunk.choices?.[0]?.delta?.content ?? "";
}

function sentenceOf(body: string, status: number): string {
  try {
    return (JSON.parse(body) as Required<Chunk>).error.message;
  } catch {
    return `The endpoint answered with status ${status}.`;
  }
}
