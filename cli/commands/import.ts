import { styleText } from "node:util";
import type { Command } from "commander";
import { faultText } from "../language/faults.ts";
import { noteText, questionText } from "../language/imported.ts";
import { languageOf } from "../language/locale.ts";
import { say } from "../language/say.ts";
import type { ImportAnswers, ImportNote, ImportQuestion } from "../../recipe/import/world.ts";
import { Fault } from "../../recipe/fault.ts";

interface Options {
  readonly stack?: string;
  readonly force?: boolean;
  readonly name?: string;
  readonly author?: string;
  readonly dataDir?: string;
  readonly dataset?: Readonly<Record<string, string>>;
  readonly hub?: string;
}

/** `tuneup import`: a LLaMA-Factory file becomes an experiment. */
export function register(program: Command): void {
  program
    .command("import")
    .argument("<files...>", say("import.help.files"))
    .option("--stack <name>", say("import.help.stack"))
    .option("--force", say("import.help.force"))
    .option("--name <name>", say("import.help.name"))
    .option("--author <author>", say("import.help.author"))
    .option("--data-dir <folder>", say("import.help.data-dir"))
    .option("--dataset <name=source>", say("import.help.dataset"), collected)
    .option("--hub <hub>", say("import.help.hub"))
    .description(say("import.help"))
    .action(importFiles);
}

function collected(pair: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = pair.indexOf("=");
  if (at > 0 && at < pair.length - 1) return { ...before, [pair.slice(0, at).trim()]: pair.slice(at + 1) };
  throw new Fault({
    code: "option-dataset",
    property: "--dataset",
    message: `must be NAME=SOURCE, got ${JSON.stringify(pair)}.`,
    next: "Say for example --dataset med=data/med.json.",
  });
}

async function importFiles(paths: readonly string[], options: Options): Promise<void> {
  const { importTraining } = await import("../../recipe/import/import.ts");
  const { importWorld, readFiles } = await import("../import-files.ts");
  const { keepingSecrets, newStackPath, writeStack } = await import("../stack-file.ts");
  const files = readFiles(paths);
  const experiment = options.stack ?? nameOf(paths[0] ?? "");
  const target = newStackPath(experiment, options.force ?? false);
  let answers = answersOf(options);
  for (;;) {
    const result = importTraining(files, answers, importWorld);
    if ("text" in result) {
      await writeStack(target, await keepingSecrets(target, result.text));
      report(
        experiment,
        result.notes,
        result.faults.map((fault) => faultText(new Fault(fault), languageOf(process.env)).replaceAll("\n", "\n    ")),
      );
      return;
    }
    if (!process.stdin.isTTY || !process.stdout.isTTY) throw unanswered(result.questions);
    answers = await asked(result.questions, answers);
  }
}

/** `exercise.yaml` makes the experiment `exercise`. */
function nameOf(path: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  return file.replace(/\.(ya?ml|json)$/i, "").replace(/[^A-Za-z0-9._-]+/g, "-");
}

const hubs = ["hub", "huggingface", "modelscope"] as const;

function answersOf({ hub, name, author, dataDir, dataset }: Options): ImportAnswers {
  const known = hubs.find((candidate) => candidate === hub);
  if (hub !== undefined && known === undefined) {
    throw new Fault({
      code: "option-hub",
      property: "--hub",
      message: `must be one of ${hubs.join(", ")}, got ${JSON.stringify(hub)}.`,
    });
  }
  return {
    ...(known === undefined ? {} : { hub: known }),
    ...(name === undefined ? {} : { name }),
    ...(author === undefined ? {} : { author }),
    ...(dataDir === undefined ? {} : { dataDirectory: dataDir }),
    ...(dataset === undefined ? {} : { datasets: dataset }),
  };
}

/** Asks a person; an empty answer and Ctrl-D end it as no answer, Ctrl-C as cancelled. */
async function asked(questions: readonly ImportQuestion[], answers: ImportAnswers): Promise<ImportAnswers> {
  const { createInterface } = await import("node:readline");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // The iterator keeps lines that were pasted before they were asked for.
  const lines = terminal[Symbol.asyncIterator]();
  const interrupt = new AbortController();
  terminal.once("SIGINT", () => {
    interrupt.abort();
    terminal.close();
  });
  try {
    let known: ImportAnswers = answers;
    for (const question of questions) {
      process.stdout.write(`${questionText(question)} `);
      const line = await lines.next();
      // Whoever ends it by a key leaves the cursor behind the question.
      if (line.done === true) process.stdout.write("\n");
      if (interrupt.signal.aborted) throw new Fault({ code: "cancelled", message: "Cancelled; nothing is written." });
      const answer = line.done === true ? "" : line.value.trim();
      if (answer === "") throw unanswered([question]);
      known = question.about.startsWith("dataset:")
        ? { ...known, datasets: { ...known.datasets, [question.about.slice("dataset:".length)]: answer } }
        : { ...known, [question.about]: answer };
    }
    return known;
  } finally {
    terminal.close();
  }
}

function unanswered(questions: readonly ImportQuestion[]): Fault {
  return new Fault({
    code: "import-unanswered",
    message: `only you can answer: ${questions.map((question) => questionText(question, "en")).join(" ")}`,
    next: `Say it with ${questions.map(({ option }) => option).join(" ")}.`,
  });
}

const marks = { mapped: "→", dropped: "-", warning: "!" } as const;

function report(experiment: string, notes: readonly ImportNote[], faults: readonly string[]): void {
  const lines = notes.map((note) => {
    const line = `  ${marks[note.level]} ${noteText(note)}`;
    return note.level === "warning" ? styleText("yellow", line) : line;
  });
  process.stdout.write(`${[say("import.written", { experiment }), ...lines].join("\n")}\n`);
  if (faults.length === 0) {
    process.stdout.write(`${say("import.next", { experiment })}\n`);
    return;
  }
  process.stdout.write(
    `${[say("import.repair"), ...faults.map((fault) => `  ${styleText("red", `✗ ${fault}`)}`)].join("\n")}\n`,
  );
  process.exitCode = 2;
}
