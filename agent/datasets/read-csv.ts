import { decode, linesOf } from "./read-json.ts";
import { datasetFault } from "./problems.ts";
import type { RowChecker } from "./rows.ts";
import type { Shape } from "./shape.ts";

/** What pandas, which reads the file for LLaMA-Factory, takes as no value. */
const missing = new Set(
  ",#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,None,n/a,nan,null".split(","),
);

/** A column of nothing but these becomes one of numbers or of truth values. */
const notText = /^\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|true|false)\s*$/i;

/** Lines that one record may span: a quote that is never closed shall not take the rest of the file into memory. */
const mostLines = 10_000;

/** Checks a CSV file (RFC 4180, comma, header) record by record. */
export async function readCsv(
  file: string,
  chunks: AsyncIterable<Buffer>,
  checker: RowChecker,
  shape: Shape,
): Promise<void> {
  if (shape.formatting !== "alpaca") {
    throw datasetFault(
      "dataset-format",
      file,
      `${shape.formatting} conversations can't be in a CSV file.`,
      "Save it as .jsonl.",
    );
  }
  let header: string[] | undefined;
  const textless = new Map<string, boolean>();
  for await (const { fields, line } of recordsOf(file, chunks)) {
    if (header === undefined) {
      header = fields;
      continue;
    }
    if (fields.length > header.length) {
      throw datasetFault(
        "dataset-malformed",
        file,
        `line ${line} has ${fields.length} fields, the header has ${header.length}.`,
        'Put texts with commas in double quotes ("...").',
      );
    }
    const row = header.map((name, index): [string, string | null] => {
      const value = fields[index] ?? "";
      if (!missing.has(value)) textless.set(name, (textless.get(name) ?? true) && notText.test(value));
      return [name, missing.has(value) ? null : value];
    });
    checker.add(Object.fromEntries(row), `line ${line}`);
  }
  const { prompt, query, response } = shape.columns;
  const numeric = [prompt, query, response].find((name) => name !== undefined && textless.get(name) === true);
  if (numeric !== undefined) {
    throw datasetFault(
      "dataset-column-type",
      file,
      `the column ${JSON.stringify(numeric)} has only numbers or true and false, and would not be read as text.`,
      "Save it as .jsonl with texts in quotes.",
    );
  }
}

/** The records with the line that each begins at. A quoted field may hold commas, line ends and doubled quotes. */
async function* recordsOf(
  file: string,
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<{ readonly fields: string[]; readonly line: number }> {
  let number = 0;
  let began = 1;
  let open: string[] = [];
  let quoted = false;
  for await (const bytes of linesOf(file, chunks)) {
    number += 1;
    const text = decode(file, bytes, number).replace(number === 1 ? /^\uFEFF/ : /^$/, "");
    if (open.length === 0) began = number;
    open.push(text);
    // A record is whole when its quotes are even.
    if (text.split('"').length % 2 === 0) quoted = !quoted;
    if (quoted && number - began < mostLines) continue;
    if (quoted) break;
    const record = open.join("\n").replace(/\r$/, "");
    open = [];
    if (record !== "") yield { fields: fieldsOf(record), line: began };
  }
  if (open.length > 0) {
    throw datasetFault("dataset-malformed", file, `the quote that begins in line ${began} is never closed.`);
  }
}

function fieldsOf(record: string): string[] {
  const pattern = /("(?:[^"]|"")*"|[^,]*)(,|$)/g;
  const fields: string[] = [];
  for (const [, field = "", end] of record.matchAll(pattern)) {
    fields.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
    if (end === "") break;
  }
  return fields;
}
