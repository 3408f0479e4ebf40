import { Fault } from "../../recipe/fault.ts";

/** Something that is wrong with rows of a file. */
export interface Problem {
  readonly code: string;
  /** One sentence about the first row that has it. */
  readonly message: string;
  readonly next?: string;
  /** Rows that have it. */
  count: number;
  /** Where the first of them are, e.g. `line 3`. */
  readonly where: string[];
}

const placesNamed = 3;

/** What is wrong with one file, by kind: the first rows with their places, the others counted. */
export class Problems {
  readonly #file: string;
  readonly #kinds = new Map<string, Problem>();

  constructor(file: string) {
    this.#file = file;
  }

  /** All of them, in the order in which they came up. */
  get all(): readonly Problem[] {
    return [...this.#kinds.values()];
  }

  /** Notes one row. `where` is empty for what is wrong with the file as a whole. */
  add(code: string, where: string, message: string, next?: string): void {
    const known = this.#kinds.get(code);
    if (known === undefined) {
      const problem = { code, message, count: 1, where: where === "" ? [] : [where] };
      this.#kinds.set(code, next === undefined ? problem : { ...problem, next });
      return;
    }
    known.count += 1;
    if (known.where.length < placesNamed && where !== "") known.where.push(where);
  }

  /** Notes what is wrong with the file as a whole, and explains what is wrong with its rows: it is told first. */
  addFirst(code: string, message: string, next: string): void {
    if (this.#kinds.has(code)) return;
    const others = [...this.#kinds];
    this.#kinds.clear();
    this.#kinds.set(code, { code, message, next, count: 1, where: [] });
    for (const [kind, problem] of others) this.#kinds.set(kind, problem);
  }

  /** The first kind as a Fault with its places; undefined if nothing is wrong. */
  get fault(): Fault | undefined {
    const [first] = this.all;
    if (first === undefined) return undefined;
    return datasetFault(first.code, this.#file, sentenceOf(first), first.next);
  }
}

/** The problem with the places of further rows. */
export function sentenceOf({ message, count, where }: Problem): string {
  const [, ...others] = where;
  if (others.length === 0) return message;
  const more = count - where.length;
  return `${message} Also in ${others.join(", ")}${more > 0 ? ` and ${more} more` : ""}.`;
}

/** A Fault about a dataset file. */
export function datasetFault(code: string, file: string, message: string, next?: string): Fault {
  return new Fault({ code, message: `${file}: ${message}`, ...(next === undefined ? {} : { next }) });
}

/** A Fault for a file that the reader of its format can't read. `next`: how to write one that it can. */
export function unreadableTable(format: "Arrow" | "Parquet", file: string, thrown: unknown, next: string): Fault {
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  return datasetFault("dataset-malformed", file, `it can't be read as ${format} (${said}).`, next);
}
