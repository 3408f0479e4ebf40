import { z } from "zod";
import { Fault } from "./fault.ts";

const asked = z.strictObject({ source: z.string(), revision: z.string().optional() });

const pin = z.strictObject({
  /** What the stack file said when it was pinned: other words than these drop the pin. */
  asked,
  /** What answered: `huggingface` or `modelscope` where `hub` was asked. */
  source: z.string(),
  /** Commit, version, or hash of the file list where the source names no commit. */
  revision: z.string().min(1),
});

/** Where something comes from and which revision of it: what was asked, and what that was when it was first used. */
export type Pin = z.infer<typeof pin>;

/** What a lock file holds: `stacks/<experiment>.lock.json`, kept under version control beside the stack file. */
export const pins = z.strictObject({
  schemaVersion: z.literal(1),
  /** The base model. */
  model: pin.extend({ id: z.string().min(1) }).optional(),
  /** Hub datasets by their id. */
  datasets: z.record(z.string(), pin).default({}),
});
export type Pins = z.infer<typeof pins>;

/** The words of a stack file that a pin holds for. */
export interface Asked {
  readonly id: string;
  readonly source: string;
  readonly revision?: string | undefined;
}

/** What an id was found to be. */
export interface Found {
  readonly source: string;
  readonly revision: string;
}

/** Path of an experiment's lock file; `stacks` is the folder of the stack files. */
export function pinsFile(stacks: string, experiment: string): string {
  return `${stacks}/${experiment}.lock.json`;
}

/** The pins that the text of a lock file holds; a missing file (undefined) holds none. Throws Fault `pins-invalid`. */
export function readPins(text: string | undefined, path: string): Pins {
  if (text === undefined) return { schemaVersion: 1, datasets: {} };
  let read;
  try {
    read = pins.safeParse(JSON.parse(text));
  } catch {
    throw invalid(path, "it is not JSON");
  }
  if (read.success) return read.data;
  throw invalid(path, z.prettifyError(read.error).replaceAll(/\s*\n\s*/g, " "));
}

function invalid(path: string, why: string): Fault {
  return new Fault({
    code: "pins-invalid",
    property: "pins",
    message: `${path} can't be read: ${why}.`,
    next: "Take it from version control again, or delete it: the newest revisions are then pinned anew.",
  });
}

/** The pin of the model; undefined where there is none, or where the stack file says other words than were pinned. */
export function modelPin({ model }: Pins, words: Asked): Found | undefined {
  return model?.id === words.id ? holds(model, words) : undefined;
}

/** The same for a hub dataset. */
export function datasetPin({ datasets }: Pins, words: Asked): Found | undefined {
  return Object.hasOwn(datasets, words.id) ? holds(datasets[words.id], words) : undefined;
}

function holds(candidate: Pin | undefined, { source, revision }: Asked): Found | undefined {
  if (candidate === undefined) return undefined;
  if (candidate.asked.source !== source || candidate.asked.revision !== revision) return undefined;
  return { source: candidate.source, revision: candidate.revision };
}

/** The pins with the model's. Where the stack file names source and revision exactly, none is needed and an old one goes. */
export function pinModel(before: Pins, words: Asked, found: Found): Pins {
  const others = { schemaVersion: before.schemaVersion, datasets: before.datasets };
  return isExact(words, found) ? others : { ...others, model: { id: words.id, ...pinOf(words, found) } };
}

/** The pins with those of all hub datasets of the stack file; datasets that it does not name any more are dropped. */
export function pinDatasets(before: Pins, found: readonly { readonly words: Asked; readonly found: Found }[]): Pins {
  const needed = found.filter((one) => !isExact(one.words, one.found));
  const datasets = Object.fromEntries(needed.map((one) => [one.words.id, pinOf(one.words, one.found)]));
  return { ...before, datasets };
}

function isExact(words: Asked, found: Found): boolean {
  return words.source === found.source && words.revision === found.revision;
}

function pinOf({ source, revision }: Asked, found: Found): Pin {
  return {
    asked: revision === undefined ? { source } : { source, revision },
    source: found.source,
    revision: found.revision,
  };
}
