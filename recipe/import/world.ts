import type { FaultFacts } from "../fault.ts";

/** What import has to know of the machine and of the user; the command gives it, tests give their own. */
export interface ImportWorld {
  /** Is there such a file or folder? Paths are as the user wrote them. */
  exists(path: string): boolean;
  /** Text of a file, or nothing. */
  read(path: string): string | undefined;
  /** The path as a stack file has it: relative to the project folder where it lies there, else absolute. */
  place(path: string): string;
}

/** What the user answered before being asked: options of the command. */
export interface ImportAnswers {
  /** Which hub a bare id means. Default: `hub`, the first that answers. */
  readonly hub?: "hub" | "huggingface" | "modelscope";
  /** The assistant's name and maker, for `identity`. */
  readonly name?: string;
  readonly author?: string;
  /** A folder with LLaMA-Factory's data and its dataset_info.json. */
  readonly dataDirectory?: string;
  /** Source of each dataset that nobody knows, by name. */
  readonly datasets?: Readonly<Record<string, string>>;
}

/** Something that only the user knows. */
export interface ImportQuestion {
  /** Which answer it asks for: `name`, `author`, `dataDirectory`, or `dataset:` and a name. */
  readonly about: string;
  /** The question for a person at a terminal. */
  readonly ask: string;
  /** Which option says it, for everyone else. */
  readonly option: string;
}

/** One line that import says about what it did. */
export interface ImportNote {
  readonly level: "mapped" | "dropped" | "warning";
  readonly message: string;
}

/** Collects notes and questions while a file is mapped. */
export class ImportLog {
  readonly notes: ImportNote[] = [];
  readonly questions: ImportQuestion[] = [];

  mapped(message: string): void {
    this.notes.push({ level: "mapped", message });
  }

  dropped(message: string): void {
    this.notes.push({ level: "dropped", message });
  }

  warn(message: string): void {
    this.notes.push({ level: "warning", message });
  }

  ask(question: ImportQuestion): void {
    if (!this.questions.some(({ about }) => about === question.about)) this.questions.push(question);
  }
}

/** What import made of the files. */
export interface Imported {
  /** Text of the stack file. */
  readonly text: string;
  readonly notes: readonly ImportNote[];
  /** What `readExperiment` finds wrong with it; it is written all the same, to be repaired there. */
  readonly faults: readonly FaultFacts[];
}
