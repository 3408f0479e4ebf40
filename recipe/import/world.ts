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

/** What stands in a sentence of the command's: names, paths, numbers. */
export type ImportValues = Readonly<Record<string, string | number>>;

/** Something that only the user knows; the command has the sentence, in the user's language. */
export interface ImportQuestion {
  /** Which answer it asks for: `name`, `author`, `dataDirectory`, or `dataset:` and a name. */
  readonly about: string;
  /** Name of its sentence. */
  readonly asks: "name" | "author" | "data-directory" | "dataset";
  readonly values: ImportValues;
  /** Which option says it, for everyone else. */
  readonly option: string;
}

/** Names of the sentences that import says; the command has them, in the user's language. */
export type ImportNoteCode =
  | (
      | "model-folder"
      | "model-folder-absent"
      | "model-hub"
      | "model-from"
      | "model-media"
      | "adapter"
      | "trust-remote-code"
    )
  | ("dataset-dir-absent" | "dataset-dir-named" | "dataset-circulating" | "dataset-media" | "dataset-hub")
  | ("dataset-either-hub" | "eval-dataset" | "owned" | "secret" | "secret-hub" | "ray" | "ray-workers")
  | ("deepspeed-content" | "deepspeed-not-json" | "deepspeed-absent" | "engine" | "engine-unknown")
  | ("inference-differs" | "inference-adapter-own" | "inference-adapter-other" | "inference-request")
  | ("save-interval" | "save-interval-compared" | "eval-interval" | "eval-interval-compared")
  | ("comment-secret" | "comment-secrets" | "comments-lost");

/** One line that import says about what it did. */
export interface ImportNote {
  readonly level: "mapped" | "dropped" | "warning";
  readonly code: ImportNoteCode;
  readonly values: ImportValues;
}

/** Collects notes and questions while a file is mapped. */
export class ImportLog {
  readonly notes: ImportNote[] = [];
  readonly questions: ImportQuestion[] = [];

  mapped(code: ImportNoteCode, values: ImportValues = {}): void {
    this.notes.push({ level: "mapped", code, values });
  }

  dropped(code: ImportNoteCode, values: ImportValues = {}): void {
    this.notes.push({ level: "dropped", code, values });
  }

  warn(code: ImportNoteCode, values: ImportValues = {}): void {
    this.notes.push({ level: "warning", code, values });
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
