import type { Row, Shape } from "./shape.ts";

/** One message as LLaMA-Factory takes it from a row. */
export interface Turn {
  readonly role: string;
  readonly content: unknown;
}

/** A conversation, or what is wrong with it. `system`: of its first message or the row's own column. */
export type Conversation =
  { readonly turns: readonly Turn[]; readonly system: unknown; readonly wrong?: never } | { readonly wrong: string };

/**
 * Reads the messages of a row as LLaMA-Factory's converters do: a system message first, then questions (user, tool result) and answers
 * (assistant, tool call) in turn, ending with an answer, or with a question where two answers are compared. LLaMA-Factory leaves
 * out every other row with a warning in a long log.
 */
export function conversationOf(row: Row, shape: Shape): Conversation {
  const { columns, tags, ranking, formatting } = shape;
  const messages = row[columns.messages ?? ""];
  if (!Array.isArray(messages)) {
    return { wrong: `${JSON.stringify(columns.messages)} must be a list of messages.` };
  }
  const [role = "", content = ""] = [tags.role_tag, tags.content_tag];
  const turns: Turn[] = [];
  for (const [index, message] of (messages as unknown[]).entries()) {
    const turn = message as Row | null;
    if (typeof turn !== "object" || turn === null || !(role in turn) || !(content in turn)) {
      return {
        wrong: `message ${index + 1} must be an object with ${JSON.stringify(role)} and ${JSON.stringify(content)}.`,
      };
    }
    turns.push({
      role: String(turn[role]),
      content: formatting === "openai" ? contentOf(turn, content) : turn[content],
    });
  }
  let system: unknown = columns.system === undefined ? "" : row[columns.system];
  if (turns[0] !== undefined && turns[0].role === tags.system_tag) system = turns.shift()?.content;
  const aligned = formatting === "openai" ? joinResults(turns, shape) : turns;
  const wrong = orderFault(aligned, shape) ?? endFault(aligned, ranking);
  return wrong === undefined ? { turns: aligned, system } : { wrong };
}

/** OpenAI's tool calls stand beside an empty content. */
function contentOf(turn: Row, content: string): unknown {
  const calls = turn["tool_calls"];
  if (!Array.isArray(calls) || calls.length === 0) return turn[content];
  return JSON.stringify((calls as Row[]).map((call) => call["function"]));
}

/** Results of several tools are one turn. */
function joinResults(turns: readonly Turn[], { tags }: Shape): Turn[] {
  const joined: Turn[] = [];
  for (const turn of turns) {
    const before = joined.at(-1);
    if (before !== undefined && turn.role === tags.observation_tag && before.role === tags.observation_tag) {
      const content = `${String(before.content)}\n</tool_response>\n<tool_response>\n${String(turn.content)}`;
      joined.splice(-1, 1, { role: turn.role, content });
    } else joined.push(turn);
  }
  return joined;
}

function orderFault(turns: readonly Turn[], { tags }: Shape): string | undefined {
  const odd = [tags.user_tag, tags.observation_tag];
  const even = [tags.assistant_tag, tags.function_tag];
  const wrong = turns.findIndex((turn, index) => !(index % 2 === 0 ? odd : even).includes(turn.role));
  if (wrong < 0) return undefined;
  const allowed = (wrong % 2 === 0 ? odd : even).filter((tag) => tag !== undefined).join(" or ");
  return `turn ${wrong + 1} must be of ${allowed}, got ${JSON.stringify(turns[wrong]?.role.slice(0, 40))}.`;
}

function endFault(turns: readonly Turn[], ranking: boolean): string | undefined {
  if (turns.length > 0 && turns.length % 2 === (ranking ? 1 : 0)) return undefined;
  return `the conversation must end with ${ranking ? "a question" : "an answer"}; it has ${turns.length} turns.`;
}
