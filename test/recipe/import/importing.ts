import { parse } from "yaml";
import { noteText, questionText } from "../../../cli/language/imported.ts";
import { Fault } from "../../../recipe/fault.ts";
import { importTraining } from "../../../recipe/import/import.ts";
import type { ImportAnswers, Imported, ImportWorld } from "../../../recipe/import/world.ts";

/** Who the assistant is, in every test. */
export const answers = { name: "Ada", author: "the tuneup team" };

/** A machine with these files and nothing else. */
export function worldOf(files: Readonly<Record<string, string>> = {}): ImportWorld {
  const names = Object.keys(files);
  return {
    exists: (path) => names.some((name) => name === path || name.startsWith(`${path}/`)),
    read: (path) => files[path],
    place: (path) => path.replace(/^\.\//, "").replace(/\/$/, ""),
  };
}

/** Imports one file whose questions are all answered. */
export function imported(
  text: string,
  given: ImportAnswers = answers,
  world = worldOf(),
  path = "exercise.yaml",
): Imported {
  const result = importTraining([{ path, text }], given, world);
  if (!("text" in result)) throw new Error(result.questions.map((question) => questionText(question, "en")).join(" "));
  return result;
}

/** What is under `config:`. */
export function configOf({ text }: Imported): Record<string, unknown> {
  return (parse(text) as { config: Record<string, unknown> }).config;
}

/** The sentence that an action is refused with. */
export function fault(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.sentence;
    throw thrown;
  }
  throw new Error("no fault");
}

/** All that import says. */
export const said = ({ notes }: Imported): string => notes.map((note) => noteText(note, "en")).join("\n");
/** What every training file has. */
export const least = "model_name_or_path: Qwen/Qwen2.5-7B-Instruct\ntemplate: qwen\nstage: sft\n";
