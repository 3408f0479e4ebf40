import { Fault } from "../../recipe/fault.ts";

/** A row as the file has it. */
export type Row = Readonly<Record<string, unknown>>;

const columnDefaults = {
  prompt: "instruction",
  query: "input",
  response: "output",
  messages: "conversations",
} as const;
const columnNames = [
  ...(["prompt", "query", "response", "history", "messages", "system", "tools"] as const),
  ...(["images", "videos", "audios", "chosen", "rejected", "kto_tag"] as const),
] as const;
export type ColumnRole = (typeof columnNames)[number];

const tagDefaults = {
  role_tag: "from",
  content_tag: "value",
  user_tag: "human",
  assistant_tag: "gpt",
  observation_tag: "observation",
  function_tag: "function_call",
  system_tag: "system",
} as const;
export type TagRole = keyof typeof tagDefaults;

/** How a dataset's rows are to be read: what LLaMA-Factory's data/parser.py makes of a dataset_info.json entry. */
export interface Shape {
  readonly formatting: "alpaca" | "sharegpt" | "openai";
  readonly ranking: boolean;
  /** Column of each role; a role without one is not read. */
  readonly columns: Readonly<Partial<Record<ColumnRole, string>>>;
  readonly tags: Readonly<Partial<Record<TagRole, string>>>;
  /** Did the entry name its columns itself? */
  readonly columnsNamed: boolean;
}

/**
 * Reads an entry as LLaMA-Factory does: with `columns` (or `tags`) given, those left out of it are not read, and have no defaults.
 * `plainText`: rows may be nothing but text, as stage pt takes them. Throws Fault `dataset-info` for an entry by which no row could
 * be read.
 */
export function shapeOf(info: Readonly<Record<string, unknown>>, { plainText = false } = {}): Shape {
  const formatting = info["formatting"] ?? "alpaca";
  if (formatting !== "alpaca" && formatting !== "sharegpt" && formatting !== "openai") {
    throw infoFault("formatting", `must be alpaca or sharegpt, got ${JSON.stringify(formatting)}.`);
  }
  const shape: Shape = {
    formatting,
    ranking: info["ranking"] === true,
    columns: chosen("columns", info["columns"], columnDefaults, columnNames),
    tags: chosen("tags", info["tags"], tagDefaults, Object.keys(tagDefaults)),
    columnsNamed: info["columns"] !== undefined,
  };
  const { columns, tags } = shape;
  const needed: ColumnRole[] =
    formatting === "alpaca"
      ? ["prompt", ...(shape.ranking ? (["chosen", "rejected"] as const) : plainText ? [] : (["response"] as const))]
      : ["messages", ...(shape.ranking ? (["chosen", "rejected"] as const) : [])];
  const lacking = needed.find((role) => columns[role] === undefined);
  if (lacking !== undefined) {
    throw infoFault(
      "columns",
      `lacks ${lacking}: which column of the file it is (${formatting} needs ${needed.join(", ")}).`,
    );
  }
  const untagged = (["role_tag", "content_tag", "user_tag", "assistant_tag"] as const).find((tag) => !tags[tag]);
  if (formatting !== "alpaca" && untagged !== undefined) {
    throw infoFault("tags", `lacks ${untagged}: with tags given, all that the messages use must be named.`);
  }
  return shape;
}

function chosen<R extends string>(
  key: string,
  given: unknown,
  defaults: Readonly<Partial<Record<R, string>>>,
  roles: readonly string[],
): Partial<Record<R, string>> {
  if (given === undefined) return defaults;
  const entries = Object.entries(given as Record<string, unknown>);
  const unknown = entries.find(([role]) => !roles.includes(role));
  if (unknown !== undefined) {
    throw infoFault(`${key}.${unknown[0]}`, `is not one of LLaMA-Factory's ${key}: ${roles.join(", ")}.`);
  }
  return Object.fromEntries(entries.filter(([, name]) => typeof name === "string")) as Partial<Record<R, string>>;
}

function infoFault(property: string, message: string): Fault {
  return new Fault({ code: "dataset-info", message: `\`${property}\` ${message}` });
}
