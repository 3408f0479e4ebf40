import { Duplicates } from "./duplicates.ts";
import { conversationOf } from "./messages.ts";
import { Problems } from "./problems.ts";
import type { ColumnRole, Row, Shape } from "./shape.ts";

/** Gets every row that is well formed, with its place. */
export type RowListener = (row: Row, where: string) => void;

const texts: readonly ColumnRole[] = ["prompt", "query", "system", "response", "chosen", "rejected"];

/** Looks at row after row of one file, holding only what it needs to say at the end and 8 bytes a row for duplicates. */
export class RowChecker {
  readonly problems: Problems;
  readonly duplicates = new Duplicates();
  readonly #shape: Shape;
  readonly #listener: RowListener | undefined;
  readonly #columns = new Map<string, { kind: string; where: string }>();
  rows = 0;

  constructor(file: string, shape: Shape, listener?: RowListener) {
    this.problems = new Problems(file);
    this.#shape = shape;
    this.#listener = listener;
  }

  /** The columns of a file that says them itself: those of which nothing is read are not looked at. */
  columnsAre(names: readonly string[]): void {
    for (const name of names) if (!this.#columns.has(name)) this.#columns.set(name, { kind: "null", where: "" });
  }

  /** `where`: `line 3` or `row 3`. */
  add(row: unknown, where: string): void {
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      const message = `${where} must be an object with the columns, got ${kindOf(row)}.`;
      this.problems.add("dataset-malformed", where, message);
      return;
    }
    this.rows += 1;
    const given = row as Row;
    for (const name in given) this.#note(name, given[name], where);
    const taught: string[] = [];
    if (this.#shape.formatting === "alpaca") this.#checkTexts(given, where, taught);
    else this.#checkMessages(given, where, taught);
    const key = taught.join("\u0000");
    this.duplicates.add(key, () => where);
    if (key.includes("{{") && /\{\{(name|author)\}\}/.test(key)) {
      const message = `${where}: {{name}} or {{author}} is still in the text; the model would learn to say it.`;
      this.problems.add(
        "dataset-placeholder",
        where,
        message,
        "Replace both with the assistant's name and its author.",
      );
    }
    this.#listener?.(given, where);
  }

  #note(name: string, value: unknown, where: string): void {
    const kind = kindOf(value);
    const known = this.#columns.get(name);
    if (known === undefined || known.kind === "null") this.#columns.set(name, { kind, where });
    else if (kind !== known.kind && kind !== "null") {
      const before = `the column ${JSON.stringify(name)} is ${known.kind} in ${known.where}`;
      const message = `${before} and ${kind} in ${where}; it must be the same in all rows.`;
      this.problems.add("dataset-column-type", where, message);
    }
  }

  #checkTexts(row: Row, where: string, taught: string[]): void {
    for (const role of texts) {
      const column = this.#shape.columns[role];
      if (column === undefined) continue;
      const value = row[column];
      if (typeof value === "string") taught.push(value);
      else if (value !== undefined && value !== null) {
        const message = `${where}: ${JSON.stringify(column)} must be a text, got ${kindOf(value)}.`;
        this.problems.add("dataset-column-type", where, message);
      }
      if (this.#isAnswer(role)) this.#checkAnswer(value, where);
    }
    const history = row[this.#shape.columns.history ?? ""];
    if (Array.isArray(history)) this.#checkHistory(history, where, taught);
    this.#checkTag(row, where, taught);
  }

  /** Earlier turns of an alpaca row: pairs of question and answer. */
  #checkHistory(history: readonly unknown[], where: string, taught: string[]): void {
    const wrong = history.findIndex(
      (pair) => !Array.isArray(pair) || pair.length !== 2 || pair.some((text) => typeof text !== "string"),
    );
    if (wrong < 0) taught.push(JSON.stringify(history));
    else {
      const message = `${where}: turn ${wrong + 1} of ${JSON.stringify(this.#shape.columns.history)} must be a pair of texts.`;
      this.problems.add("dataset-messages", where, message);
    }
  }

  /** LLaMA-Factory takes a row whose kto tag is anything but true or false for plain training data. */
  #checkTag(row: Row, where: string, taught: string[]): void {
    const column = this.#shape.columns.kto_tag;
    if (column === undefined) return;
    if (typeof row[column] === "boolean") taught.push(String(row[column]));
    else {
      const message = `${where}: ${JSON.stringify(column)} must be true or false, got ${kindOf(row[column])}.`;
      this.problems.add("dataset-column-type", where, message);
    }
  }

  #isAnswer(role: ColumnRole): boolean {
    return this.#shape.ranking ? role === "chosen" || role === "rejected" : role === "response";
  }

  #checkAnswer(value: unknown, where: string): void {
    if (value !== undefined && value !== null && (typeof value !== "string" || value.trim() !== "")) return;
    const message = `${where}: the answer is empty; the model would learn to say nothing.`;
    this.problems.add("dataset-answer-empty", where, message, "Fill those rows or take them out.");
  }

  #checkMessages(row: Row, where: string, taught: string[]): void {
    const { columns, ranking, tags } = this.#shape;
    if (row[columns.messages ?? ""] === undefined) return;
    const read = conversationOf(row, this.#shape);
    if (read.wrong !== undefined) {
      this.problems.add("dataset-messages", where, `${where}: ${read.wrong}`);
      return;
    }
    for (const { role, content } of read.turns) taught.push(role, typeof content === "string" ? content : "");
    if (typeof read.system === "string") taught.push(read.system);
    if (ranking) for (const side of ["chosen", "rejected"] as const) this.#checkSide(row, side, where, taught);
    else this.#checkAnswer(read.turns.at(-1)?.content ?? null, where);
    const odd = read.turns.findIndex(({ content }) => typeof content !== "string" && content !== null);
    if (odd >= 0) {
      const message = `${where}: ${JSON.stringify(tags.content_tag)} of turn ${odd + 1} must be a text.`;
      this.problems.add("dataset-column-type", where, message);
    }
    const tools = row[columns.tools ?? ""];
    if (tools !== undefined && tools !== null) taught.push(typeof tools === "string" ? tools : JSON.stringify(tools));
    this.#checkTag(row, where, taught);
  }

  /** One of the two answers that are compared: a message. */
  #checkSide(row: Row, side: "chosen" | "rejected", where: string, taught: string[]): void {
    const { columns, tags } = this.#shape;
    const message = row[columns[side] ?? ""] as Row | null | undefined;
    const role = message?.[tags.role_tag ?? ""];
    if (
      typeof message !== "object" ||
      message === null ||
      (role !== tags.assistant_tag && role !== tags.function_tag)
    ) {
      const wanted = `a message of ${tags.assistant_tag ?? "the assistant"}`;
      this.problems.add("dataset-messages", where, `${where}: ${JSON.stringify(columns[side])} must be ${wanted}.`);
      return;
    }
    const content = message[tags.content_tag ?? ""];
    if (typeof content === "string") taught.push(content);
    this.#checkAnswer(content, where);
  }

  /** After the last row: notes an empty file and columns that no row has. */
  finish(): void {
    if (this.rows === 0 && this.problems.all.length === 0) this.problems.add("dataset-empty", "", "it has no rows.");
    if (this.rows === 0) return;
    for (const [role, column] of Object.entries(this.#shape.columns)) {
      if (!this.#columns.has(column) && this.#reads(role as ColumnRole)) this.#noteLacking(role, column);
    }
  }

  /** The formats read different columns; both have defaults that only one of them uses. */
  #reads(role: ColumnRole): boolean {
    const alpacaOnly = ["prompt", "query", "response", "history"].includes(role);
    if (this.#shape.formatting === "alpaca")
      return role !== "messages" && !(this.#shape.ranking && role === "response");
    return !alpacaOnly;
  }

  #noteLacking(role: string, column: string): void {
    const there = [...this.#columns.keys()].map((name) => JSON.stringify(name)).join(", ");
    const { columns, columnsNamed } = this.#shape;
    const others = Object.entries(columns).filter(([other, name]) => other !== role && this.#columns.has(name));
    const example =
      !columnsNamed && role === "query"
        ? `columns: {${others.map(([other, name]) => `${other}: ${name}`).join(", ")}}`
        : `columns: {${role}: ...}`;
    const message = `it lacks the column ${JSON.stringify(column)} (${role}); it has ${there}.`;
    const next = `Rename it in the file, or say which column is which with \`${example}\`, as in LLaMA-Factory's dataset_info.json.`;
    this.problems.addFirst("dataset-column", message, next);
  }
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "string":
      return "a text";
    case "number":
    case "bigint":
      return "a number";
    case "boolean":
      return "true or false";
    default:
      return "a map";
  }
}
