import { conversationOf } from "../../agent/datasets/messages.ts";
import type { Row } from "../../agent/datasets/shape.ts";
import type { Shape } from "../../agent/datasets/shape.ts";
import { type ChatTemplate, type TemplateOptions, templateText } from "../../recipe/dataset-templates.ts";
import type { TokenCounter } from "./token-counter.ts";

interface Message {
  readonly role: "user" | "assistant" | "observation" | "function";
  readonly content: string;
}

/** What a row becomes before it is put into the template. */
interface Example {
  readonly messages: readonly Message[];
  readonly system: string;
  readonly tools: string;
}

/**
 * Tokens of rows as LLaMA-Factory encodes them: in the template, piece by piece, not cut at cutoff_len. A row with tools and calls of
 * them is counted with the text that the template has around one tool, a close estimate. Where two answers are compared,
 * the longer one counts: that is what a batch is as wide as.
 */
export class RowTokens {
  readonly #counter: TokenCounter;
  readonly #shape: Shape;
  readonly #template: ChatTemplate | undefined;
  readonly #options: TemplateOptions;
  /** Counts of texts that come again in every row: system prompts and what the template adds. */
  readonly #again = new Map<string, number>();

  /** `template`: undefined for stage pt, which trains on the bare text. */
  constructor(counter: TokenCounter, shape: Shape, template: ChatTemplate | undefined, options: TemplateOptions) {
    this.#counter = counter;
    this.#shape = shape;
    this.#template = template;
    this.#options = options;
  }

  /** Undefined for a row that LLaMA-Factory leaves out. */
  count(row: Row): number | undefined {
    const example =
      this.#shape.formatting === "alpaca" ? alpacaExample(row, this.#shape) : chatExample(row, this.#shape);
    if (example === undefined) return undefined;
    if (this.#template === undefined) {
      return this.#counter.count(example.messages[0]?.content ?? "") + (this.#counter.eos ? 1 : 0);
    }
    return this.#encoded(example, this.#template) + this.#answers(row, this.#template);
  }

  #encoded({ messages, system, tools }: Example, template: ChatTemplate): number {
    let tokens = template.efficientEos === true ? 1 : 0;
    for (const [index, { role, content }] of messages.entries()) {
      const inside = index === 0 && template.systemInUser === true;
      if (inside) tokens += this.#slots(template.prefix, "");
      else if (index === 0) tokens += this.#opening(system, tools, template);
      const said = role === "assistant" ? this.#thoughtless(content) : content;
      const text = inside ? this.#systemText(system, tools, template) + said : said;
      tokens += this.#slots(template[role], text);
      if (index % 2 === 1) tokens += this.#emptyThought(text, template);
    }
    return tokens;
  }

  /** Prefix and system prompt with the description of tools. */
  #opening(system: string, tools: string, template: ChatTemplate): number {
    const said = system === "" ? (this.#options.defaultSystem ?? template.defaultSystem) : system;
    const described = tools === "" ? "" : templateText(template.tools ?? "{{content}}", tools);
    let tokens = this.#slots(template.prefix, "");
    if (said + described === "") return tokens;
    for (const slot of template.system) {
      if (typeof slot !== "string") tokens += this.#special(slot);
      else tokens += this.#remembered(templateText(slot, said + described));
    }
    return tokens;
  }

  /** The system prompt as text, for templates that have it inside the first question. */
  #systemText(system: string, tools: string, template: ChatTemplate): string {
    const said = system === "" ? (this.#options.defaultSystem ?? template.defaultSystem) : system;
    const whole = said + (tools === "" ? "" : templateText(template.tools ?? "{{content}}", tools));
    if (whole === "") return "";
    return template.system.map((slot) => (typeof slot === "string" ? templateText(slot, whole) : "")).join("");
  }

  #slots(slots: ChatTemplate["user"], content: string): number {
    let tokens = 0;
    for (const slot of slots) {
      if (typeof slot !== "string") tokens += this.#special(slot);
      else if (slot.includes("{{content}}")) tokens += this.#counter.count(templateText(slot, content));
      else tokens += this.#remembered(slot);
    }
    return tokens;
  }

  #special(slot: Exclude<ChatTemplate["user"][number], string>): number {
    if ("token" in slot) return 1;
    if (slot.special === "eos") return 1;
    return this.#counter.bos ? 1 : 0;
  }

  #thoughtless(content: string): string {
    const [open, close] = this.#template?.thoughtWords ?? [];
    if (this.#options.enableThinking !== false || open === undefined || close === undefined) return content;
    const start = content.indexOf(open);
    const end = content.indexOf(close, start);
    if (start < 0 || end < 0) return content;
    return (content.slice(0, start) + content.slice(end + close.length)).replace(/^\n+/, "");
  }

  /** Templates of reasoning models put an empty thought before an answer without one. */
  #emptyThought(content: string, { emptyThought, thoughtWords }: ChatTemplate): number {
    if (emptyThought === undefined || thoughtWords?.some((word) => content.includes(word)) === true) return 0;
    return this.#remembered(emptyThought);
  }

  /** The longer of two answers that are compared; 0 for every other row. */
  #answers(row: Row, template: ChatTemplate): number {
    if (!this.#shape.ranking) return 0;
    const { columns, tags } = this.#shape;
    const sides = [columns.chosen, columns.rejected].map((column) => {
      const value = row[column ?? ""];
      const text = typeof value === "string" ? value : (value as Row | null | undefined)?.[tags.content_tag ?? ""];
      return typeof text === "string" ? this.#slots(template.assistant, text) + this.#emptyThought(text, template) : 0;
    });
    return Math.max(...sides);
  }

  #remembered(text: string): number {
    const known = this.#again.get(text);
    if (known !== undefined) return known;
    const tokens = this.#counter.count(text);
    if (this.#again.size < 1000) this.#again.set(text, tokens);
    return tokens;
  }
}

function alpacaExample(row: Row, { columns, ranking }: Shape): Example {
  const textOf = (column: string | undefined): string => {
    const value = column === undefined ? undefined : row[column];
    return typeof value === "string" ? value : "";
  };
  const history = row[columns.history ?? ""];
  const pairs = Array.isArray(history) ? (history as [string, string][]) : [];
  const earlier = pairs.flatMap(([question, answer]): Message[] => [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ]);
  const question = [textOf(columns.prompt), textOf(columns.query)].filter((text) => text !== "").join("\n");
  const messages: Message[] = [...earlier, { role: "user", content: question }];
  if (!ranking && columns.response !== undefined)
    messages.push({ role: "assistant", content: textOf(columns.response) });
  return { messages, system: textOf(columns.system), tools: textOf(columns.tools) };
}

function chatExample(row: Row, shape: Shape): Example | undefined {
  const read = conversationOf(row, shape);
  if (read.wrong !== undefined) return undefined;
  const { tags, columns } = shape;
  const roles = new Map([
    [tags.user_tag, "user"],
    [tags.assistant_tag, "assistant"],
    [tags.observation_tag, "observation"],
    [tags.function_tag, "function"],
  ] as const);
  const messages = read.turns.map(({ role, content }): Message => {
    return { role: roles.get(role) ?? "user", content: typeof content === "string" ? content : "" };
  });
  const tools = row[columns.tools ?? ""];
  const described =
    typeof tools === "string" ? tools : tools === undefined || tools === null ? "" : JSON.stringify(tools);
  return { messages, system: systemOf(read.system, described, shape), tools: described };
}

/** LLaMA-Factory's reader of `openai` rows adds this line where no tools are given. */
function systemOf(value: unknown, tools: string, { formatting }: Shape): string {
  const system = typeof value === "string" ? value : "";
  if (formatting !== "openai") return system;
  const short = "detailed thinking off";
  if (tools !== "") return system === "" ? "" : `${system}\n`;
  if (system === "") return short;
  return /detailed thinking (on|off)/.test(system) ? system : `${system}\n${short}`;
}
