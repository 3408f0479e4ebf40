import { z } from "zod";
import templates from "./dataset-templates.json" with { type: "json" };

/** A part of a template: text with {{content}}, the model's own bos or eos, or a token by name. */
const slot = z.union([z.string(), z.object({ special: z.enum(["bos", "eos"]) }), z.object({ token: z.string() })]);
const slots = z.array(slot);

const chatTemplate = z.object({
  user: slots,
  assistant: slots,
  system: slots,
  function: slots,
  observation: slots,
  prefix: slots,
  defaultSystem: z.string(),
  /** One eos ends the whole conversation. */
  efficientEos: z.boolean().optional(),
  /** What a reasoning model's template puts before an answer without a thought. */
  emptyThought: z.string().optional(),
  thoughtWords: z.tuple([z.string(), z.string()]).optional(),
  /** The system prompt is a part of the first question. */
  systemInUser: z.boolean().optional(),
  /** Text about one tool, {{content}} in place of its JSON and {{date}} in that of the day. */
  tools: z.string().optional(),
});

/** One of LLaMA-Factory's chat templates, as data; scripts/read_templates.py reads them. */
export type ChatTemplate = z.infer<typeof chatTemplate>;

/** LLaMA-Factory's arguments that change what a template makes of a row. */
export interface TemplateOptions {
  /** `default_system`. */
  readonly defaultSystem?: string | undefined;
  /** `enable_thinking`. */
  readonly enableThinking?: boolean | undefined;
}

/** The template of that name; undefined if LLaMA-Factory has none. */
export function chatTemplateOf(name: string): ChatTemplate | undefined {
  const found = Object.hasOwn(templates, name) ? (templates as Readonly<Record<string, unknown>>)[name] : undefined;
  return found === undefined ? undefined : chatTemplate.parse(found);
}

/** A slot with its content in place; a day that it names is `today`. */
export function templateText(slot: string, content: string, today = new Date()): string {
  return slot.replace("{{date}}", () => dayOf(today)).replace("{{content}}", () => content);
}

/** As Python's `%d %b %Y` writes it. */
function dayOf(date: Date): string {
  const day = new Intl.DateTimeFormat("en-US", { day: "2-digit" }).format(date);
  const month = new Intl.DateTimeFormat("en-US", { month: "short" }).format(date);
  return `${day} ${month} ${date.getFullYear()}`;
}
