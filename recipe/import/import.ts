import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "yaml";
import { readExperiment } from "../experiment.ts";
import { editsOf } from "./arguments.ts";
import { blankSecrets } from "./comments.ts";
import { mapDatasets } from "./datasets.ts";
import { warnOfIntervals } from "./intervals.ts";
import { mapModel } from "./model.ts";
import { mapServing } from "./serve.ts";
import { pairOf, readSource, type SourceFile } from "./source-file.ts";
import { hasComments, keptLines, keptValues, type TrainEdits } from "./train-block.ts";
import { type ImportAnswers, ImportLog, type Imported, type ImportQuestion, type ImportWorld } from "./world.ts";

/** The first line of every stack file: what editors complete and check it with. */
export const schemaLine = "# yaml-language-server: $schema=./experiment.schema.json";

/**
 * A LLaMA-Factory training file, alone or with its inference file, as a stack file. Where only the user knows the answer, it
 * gives questions instead. Throws Fault for what is no training.
 */
export function importTraining(
  files: readonly { readonly path: string; readonly text: string }[],
  answers: ImportAnswers,
  world: ImportWorld,
): Imported | { readonly questions: readonly ImportQuestion[] } {
  const { training, inference } = pairOf(files.map(({ path, text }) => readSource(path, text)));
  const log = new ImportLog();
  const model = mapModel(training.values, answers, world, log);
  const datasets = mapDatasets(training.values, answers, world, log);
  if (log.questions.length > 0) return { questions: log.questions };
  const edits = editsOf(training, answers.dataDirectory, world, log);
  const serve = mapServing(training, inference, log);
  const train = keptValues(training.values, edits);
  warnOfIntervals(train, datasets, log);
  const config = { target: "local", model, datasets, ...(Object.keys(serve).length > 0 ? { serve } : {}) };
  const text = stackText(files, config, blockOf(training, edits, train, log));
  return { text, notes: log.notes, faults: readExperiment({ ...config, train }).faults ?? [] };
}

/** The lines under `tuneup:train`: the user's own where they still say the same, else written anew. */
function blockOf(
  { text, document }: SourceFile,
  edits: TrainEdits,
  train: Readonly<Record<string, unknown>>,
  log: ImportLog,
): string {
  const kept = keptLines(text, document, edits);
  const { text: lines, blanked } = kept === undefined ? { text: undefined, blanked: 0 } : blankSecrets(kept);
  if (blanked > 0) log.warn(blanked === 1 ? "comment-secret" : "comment-secrets", { count: blanked });
  if (lines !== undefined && isDeepStrictEqual(valuesOf(lines), train)) return lines;
  if (hasComments(document)) log.warn("comments-lost");
  return stringify(train, { lineWidth: 0 }).trimEnd();
}

function valuesOf(lines: string): unknown {
  try {
    return parse(lines) ?? {};
  } catch {
    return undefined;
  }
}

function stackText(
  files: readonly { readonly path: string }[],
  { target, ...parts }: Readonly<Record<string, unknown>>,
  block: string,
): string {
  const names = files.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)).join(" and ");
  const keys = Object.fromEntries(Object.entries(parts).map(([name, value]) => [`tuneup:${name}`, value]));
  const empty = !/^\s*[^#\s]/m.test(block);
  return [
    schemaLine,
    `# From ${names}, by \`tuneup import\`.`,
    "config:",
    `  tuneup:target: ${String(target)}`,
    indented(stringify(keys, { lineWidth: 0 }).trimEnd(), 2),
    `  tuneup:train:${empty ? " {}" : ""}`,
    ...(block === "" || block === "{}" ? [] : [indented(block, 4)]),
    "",
  ].join("\n");
}

function indented(text: string, by: number): string {
  return text.replace(/^(?=.)/gm, " ".repeat(by));
}
