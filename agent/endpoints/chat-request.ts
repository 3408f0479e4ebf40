import { z } from "zod";
import { HttpError } from "./openai-error.ts";

const textPart = z.looseObject({ type: z.literal("text", "only text is taken"), text: z.string() });

const content = z
  .union([z.string(), z.array(textPart)], "must be a text or a list of text parts; this model reads only text")
  .nullish()
  .transform((given) => (Array.isArray(given) ? given.map((part) => part.text).join("") : (given ?? null)));

const toolCall = z.looseObject({
  id: z.string().optional(),
  type: z.literal("function").optional(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});

const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool"]),
  content,
  tool_calls: z.array(toolCall).nullish(),
});

const tool = z.looseObject({
  type: z.literal("function"),
  function: z.looseObject({
    name: z.string(),
    description: z.string().default(""),
    parameters: z.record(z.string(), z.unknown()).default({}),
  }),
});

const tokens = z.int().min(1).nullish();

/** What we read of OpenAI's request; other fields are ignored, as a server of another version would. */
const schema = z.looseObject({
  model: z.string(),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  stop: z.union([z.string(), z.array(z.string()).max(4)], "must be a text or up to 4 texts").nullish(),
  seed: z.int().nullish(),
  n: z.literal(1, "must be 1: one answer a request").nullish(),
  tools: z.array(tool).nullish(),
  tool_choice: z.unknown().optional(),
});

/** One turn as the engine takes it. */
export interface Turn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | null;
  readonly tool_calls?: readonly unknown[];
}

/** A request that is sound, in our words. */
export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly stop: readonly string[];
  /** What goes to the engine beside the model's name. */
  readonly engine: Readonly<Record<string, unknown>>;
}

/** Reads a request's body, or throws the 400 that names the parameter. `maxTokens` is ceiling and default. */
export function readChatRequest(body: string, maxTokens: number): ChatRequest {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw new HttpError(400, "invalid_json", "The body is not JSON.");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new HttpError(400, "invalid_json", "The body must be a JSON object.");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw invalid(parsed.error);
  const given = parsed.data;
  const asked = given.max_completion_tokens ?? given.max_tokens ?? maxTokens;
  const tools = given.tool_choice === "none" ? [] : (given.tools ?? []);
  return {
    model: given.model,
    stream: given.stream ?? false,
    includeUsage: given.stream_options?.include_usage ?? false,
    stop: typeof given.stop === "string" ? [given.stop] : (given.stop ?? []),
    engine: {
      messages: turnsOf(given.messages),
      max_tokens: Math.min(asked, maxTokens),
      ...optional("temperature", given.temperature),
      ...optional("top_p", given.top_p),
      ...optional("seed", given.seed),
      ...(tools.length > 0 ? { tools } : {}),
    },
  };
}

function optional(name: string, value: number | null | undefined): Record<string, number> {
  return value === null || value === undefined ? {} : { [name]: value };
}

function invalid(error: z.ZodError): HttpError {
  const issue = error.issues[0];
  const path = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const param = path.slice(1);
  return new HttpError(400, "invalid_value", `${param}: ${issue?.message ?? "is not valid"}.`, { param });
}

/**
 * The conversation as templates take it: one system turn first, then user and assistant in turns, the user's last.
 * Neighbours of one role are joined, which is what a history with a broken-off answer needs.
 */
function turnsOf(messages: readonly z.output<typeof message>[]): Turn[] {
  const turns: Turn[] = [];
  for (const { role: given, content, tool_calls: calls } of messages) {
    const role = given === "developer" ? "system" : given;
    const last = turns.at(-1);
    const plain = (calls ?? []).length === 0;
    if (last?.role === role && plain && last.tool_calls === undefined) {
      turns[turns.length - 1] = { role, content: [last.content, content].filter(Boolean).join("\n\n") };
    } else {
      turns.push({ role, content: content ?? "", ...(plain ? {} : { tool_calls: calls ?? [] }) });
    }
  }
  const rest = turns[0]?.role === "system" ? turns.slice(1) : turns;
  const sound = rest.every(({ role }, index) =>
    index % 2 === 0 ? role === "user" || role === "tool" : role === "assistant",
  );
  if (!sound || rest.length % 2 === 0) {
    throw new HttpError(
      400,
      "invalid_value",
      "messages: after an optional system message, user and assistant must take turns, and the user's must be last.",
      { param: "messages" },
    );
  }
  return turns;
}
