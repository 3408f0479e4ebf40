import { isUtf8 } from "node:buffer";
import { datasetFault } from "./problems.ts";
import type { RowChecker } from "./rows.ts";

/** V8 holds no longer string: one row must not be larger. */
const largestText = 400e6;

/** Checks JSON lines as they come: memory is that of the longest line. Empty lines are allowed. */
export async function readJsonLines(file: string, chunks: AsyncIterable<Buffer>, checker: RowChecker): Promise<void> {
  let number = 0;
  for await (const block of blocksOf(file, chunks)) {
    // A whole block at once, for speed; line by line only to name the line that is wrong.
    if (!isUtf8(block)) throw notUtf8(file, number + 1 + badLineOf(block));
    const text = block.toString("utf8");
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf("\n", start);
      const end = newline < 0 ? text.length : newline;
      number += 1;
      const line = number === 1 && text.startsWith("\uFEFF") ? text.slice(1, end) : text.slice(start, end);
      start = end + 1;
      readLine(line, number, checker);
    }
  }
}

function readLine(line: string, number: number, checker: RowChecker): void {
  if (line === "" || line.trim() === "") return;
  const where = `line ${number}`;
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (thrown) {
    const message = `${where} is not JSON (${reason(thrown)}).`;
    checker.problems.add("dataset-malformed", where, message, "Each line must be one JSON object.");
    return;
  }
  checker.add(row, where);
}

/** The file in blocks that end with a line. */
async function* blocksOf(file: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let held = 0;
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(10) + 1;
    if (end > 0) {
      yield rest.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...rest, chunk.subarray(0, end)]);
      rest = [];
      held = 0;
    }
    if (end < chunk.length) rest.push(chunk.subarray(end));
    if ((held += chunk.length - end) > largestText) throw tooLong(file, "a line");
  }
  if (held > 0) yield Buffer.concat(rest);
}

function badLineOf(block: Buffer): number {
  let number = 0;
  for (let start = 0; start < block.length; number += 1) {
    const newline = block.indexOf(10, start);
    const end = newline < 0 ? block.length : newline;
    if (!isUtf8(block.subarray(start, end))) return number;
    start = end + 1;
  }
  return number;
}

/** Checks a JSON array of rows, one element in memory at a time. */
export async function readJsonArray(file: string, chunks: AsyncIterable<Buffer>, checker: RowChecker): Promise<void> {
  const splitter = new ArraySplitter(file, checker);
  for await (const chunk of chunks) splitter.push(chunk);
  splitter.end();
}

const [quote, backslash, newline, comma] = [34, 92, 10, 44];
const [openList, closeList, openMap, closeMap] = [91, 93, 123, 125];

/** Finds the elements of an array by its brackets and strings; JSON.parse judges each of them. */
class ArraySplitter {
  readonly #file: string;
  readonly #checker: RowChecker;
  #parts: Buffer[] = [];
  #held = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #line = 1;
  /** Line in which the element of now begins. */
  #began = 1;
  #elements = 0;
  #ended = false;

  constructor(file: string, checker: RowChecker) {
    this.#file = file;
    this.#checker = checker;
  }

  push(chunk: Buffer): void {
    let start = this.#depth === 0 ? -1 : 0;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] ?? 0;
      if (byte === newline) this.#line += 1;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
        continue;
      }
      if (this.#ended && byte > 32) throw this.#fault(`line ${this.#line}: text after the end of the list`);
      // Brackets, quote, comma: everything else needs no look.
      if (byte === quote) this.#inString = true;
      else if (byte === openMap) this.#depth += 1;
      else if (byte === openList) {
        this.#depth += 1;
        if (this.#depth === 1 && start < 0) start = index + 1;
      } else if ((byte === comma && this.#depth === 1) || byte === closeList || byte === closeMap) {
        if (byte !== comma) this.#depth -= 1;
        if (byte === comma || this.#depth === 0) {
          this.#keep(chunk.subarray(Math.max(start, 0), index));
          this.#finish(byte === comma);
          start = this.#depth === 0 ? -1 : index + 1;
        }
      }
    }
    if (start >= 0) this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    if ((this.#held += part.length) > largestText) throw tooLong(this.#file, "a row");
  }

  #finish(more: boolean): void {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts);
    const began = this.#began + linesBefore(bytes);
    this.#parts = [];
    this.#held = 0;
    this.#began = this.#line;
    this.#ended = !more;
    if (!isUtf8(bytes)) throw notUtf8(this.#file, began + badLineOf(bytes) - linesBefore(bytes));
    const text = bytes.toString("utf8").trim();
    if (text === "") {
      if (!more && this.#elements === 0) return;
      throw this.#fault(`line ${this.#line}: a row is missing before the ${more ? "comma" : "end"}`);
    }
    this.#elements += 1;
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch (thrown) {
      throw this.#fault(`line ${began + lineOf(thrown, text)}: ${reason(thrown)}`);
    }
    this.#checker.add(row, `row ${this.#elements} (line ${began})`);
  }

  end(): void {
    if (!this.#ended) throw this.#fault(`line ${this.#line}: it ends within the list`);
  }

  #fault(what: string) {
    return datasetFault("dataset-malformed", this.#file, `it is not JSON: ${what}.`);
  }
}

/** Line ends before the first byte that says something. */
function linesBefore(bytes: Buffer): number {
  let lines = 0;
  for (const byte of bytes) {
    if (byte > 32) break;
    if (byte === newline) lines += 1;
  }
  return lines;
}

function lineOf(thrown: unknown, text: string): number {
  const position = /at position (\d+)/.exec((thrown as Error).message)?.[1];
  return position === undefined ? 0 : text.slice(0, Number(position)).split("\n").length - 1;
}

/** V8's message without position and excerpt: the line is said already, and rows may be private. */
function reason(thrown: unknown): string {
  return (thrown as Error).message.replace(/ in JSON at position.*$/s, "").replace(/, (\.\.\.)?".*$/s, "");
}

/** The lines of a file as bytes, without their ends. */
export async function* linesOf(file: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const block of blocksOf(file, chunks)) {
    for (let start = 0; start < block.length;) {
      const next = block.indexOf(10, start);
      const end = next < 0 ? block.length : next;
      yield block.subarray(start, end);
      start = end + 1;
    }
  }
}

/** The text of one line. Throws Fault `dataset-encoding`. */
export function decode(file: string, line: Buffer, number: number): string {
  if (!isUtf8(line)) throw notUtf8(file, number);
  return line.toString("utf8");
}

function tooLong(file: string, what: string) {
  const next = "Save it as JSON lines (.jsonl), one object a line.";
  return datasetFault("dataset-too-large", file, `it has ${what} of more than 400 MB.`, next);
}

function notUtf8(file: string, line: number) {
  return datasetFault(
    "dataset-encoding",
    file,
    `line ${line} is not UTF-8.`,
    "Save the file as UTF-8 (`iconv -t UTF-8`).",
  );
}
