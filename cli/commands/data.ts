import type { Command } from "commander";
import { Fault } from "../../recipe/fault.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup data`: everything about an experiment's data, before anything trains on it. */
export function register(program: Command): void {
  program
    .command("data")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("--html <file>", say("data.help.html"))
    .option("--json", say("data.help.json"))
    .description(say("data.help"))
    .action(async (experiment: string, options: Options) => {
      try {
        await data(experiment, options);
      } catch (thrown) {
        const { tellRefused } = await import("../refused.ts");
        tellRefused(experiment, thrown, options.json === true);
      }
    });
}

interface Options {
  readonly html?: string;
  readonly json?: boolean;
}

async function data(experiment: string, { html, json = false }: Options): Promise<void> {
  if (html !== undefined) await requireNoFolder(html);
  const { interruptSignal } = await import("../interrupt.ts");
  const { examineData } = await import("../data/examine.ts");
  const { asJson, asText } = await import("../data/text.ts");
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const examined = await examineData(experiment, tell, interruptSignal());
  if (html !== undefined) {
    const { dataPage } = await import("../data/page.ts");
    await writePage(html, dataPage(examined));
  }
  process.stdout.write(json ? `${JSON.stringify(asJson(examined), null, 2)}\n` : `${asText(examined)}\n`);
  if (html !== undefined) tell(say("data.page", { html }));
  if (examined.findings.some(({ level }) => level === "error")) process.exitCode = 2;
}

/** Said before every row is read. */
async function requireNoFolder(path: string): Promise<void> {
  const { stat } = await import("node:fs/promises");
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) throw unwritable(path, "it is a folder");
}

async function writePage(path: string, page: string): Promise<void> {
  const { writeAtomically } = await import("../../agent/files.ts");
  try {
    await writeAtomically(path, page);
  } catch (thrown) {
    throw unwritable(path, (thrown as NodeJS.ErrnoException).code ?? String(thrown));
  }
}

function unwritable(path: string, why: string): Fault {
  return new Fault({
    code: "data-page",
    property: "--html",
    message: `${path} can't be written: ${why}.`,
    next: "Name a file in a folder of your own, such as data.html.",
  });
}
