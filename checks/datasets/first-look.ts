import { open } from "node:fs/promises";
import { extname } from "node:path";
import { datasetFault } from "../../agent/datasets/problems.ts";
import type { Row } from "../../agent/datasets/shape.ts";

/** A first row that is longer is not looked at here. */
const headBytes = 1 << 20;

const pointer = "version https://git-lfs.github.com/spec/";

/**
 * What the first bytes of a file tell before its rows are read, where each row would only repeat a consequence of it: it is a Git LFS pointer, or
 * its rows are conversations and nothing says so. Throws Fault `dataset-lfs-pointer` or `dataset-formatting`. What can't be read passes: its
 * rows tell why.
 */
export async function firstLook(file: string, info: Readonly<Record<string, unknown>>): Promise<void> {
  const head = await headOf(file).catch(() => undefined);
  if (head === undefined) return;
  if (head.startsWith(pointer)) {
    const what = "it is a Git LFS pointer, a few lines in place of the data.";
    throw datasetFault("dataset-lfs-pointer", file, what, "Run `git lfs pull` in its repository.");
  }
  if (info["formatting"] !== undefined || info["columns"] !== undefined) return;
  const ending = extname(file).toLowerCase();
  const row = await firstRow(file, ending, head).catch(() => undefined);
  const advice = row === undefined ? undefined : adviceFor(row);
  if (advice === undefined) return;
  const what = `its rows are conversations (${JSON.stringify(advice.column)}), and without \`formatting\` they are read as alpaca.`;
  throw datasetFault("dataset-formatting", file, what, `Give the dataset \`${advice.keys}\`, as in dataset_info.json.`);
}

async function firstRow(file: string, ending: string, head: string): Promise<Row | undefined> {
  if (ending === ".parquet") return (await import("./read-parquet.ts")).firstOfParquet(file);
  if (ending === ".arrow") return (await import("./read-arrow.ts")).firstOfArrow(file);
  return firstOf(head);
}

async function headOf(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The first row of JSON lines, or of a list: up to the bracket that closes it. */
function firstOf(head: string): Row | undefined {
  const start = head.indexOf("{");
  if (start < 0 || !/^\uFEFF?\s*\[?\s*$/.test(head.slice(0, start))) return undefined;
  let depth = 0;
  for (const { 0: token, index } of head.slice(start).matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (token === "{") depth += 1;
    else if (token === "}") depth -= 1;
    if (depth === 0) return parsed(head.slice(start, start + index + 1));
  }
  return undefined;
}

function parsed(text: string): Row | undefined {
  try {
    return JSON.parse(text) as Row;
  } catch {
    return undefined;
  }
}

const openaiTags = { role_tag: "role", content_tag: "content", user_tag: "user", assistant_tag: "assistant" };

/** How such rows are declared; undefined for rows that are no conversations. */
function adviceFor(row: Row): { readonly column: string; readonly keys: string } | undefined {
  if ("instruction" in row) return undefined;
  const column = ["messages", "conversations"].find((name) => Array.isArray(row[name]));
  const [first] = column === undefined ? [] : (row[column] as unknown[]);
  if (column === undefined || typeof first !== "object" || first === null) return undefined;
  const columns = column === "conversations" ? "" : `, columns: {messages: ${column}}`;
  if (!("role" in first)) return { column, keys: `formatting: sharegpt${columns}` };
  const tags = Object.entries({ ...openaiTags, system_tag: "system" }).map(([tag, name]) => `${tag}: ${name}`);
  return { column, keys: `formatting: sharegpt, columns: {messages: ${column}}, tags: {${tags.join(", ")}}` };
}
