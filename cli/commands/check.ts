import { styleText } from "node:util";
import type { Command } from "commander";
import type { CheckArea, CheckFinding } from "../../recipe/check-report.ts";
import type { OwnEngine } from "../../recipe/engines.ts";
import type { Variant } from "../../recipe/variants.ts";
import { findingTexts } from "../language/findings.ts";
import { languageOf } from "../language/locale.ts";
import { say } from "../language/say.ts";
import { padColumns } from "../language/width.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup check`: what preview would refuse, and the figures behind it, without Pulumi. */
export function register(program: Command): void {
  program
    .command("check")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("--model <id>", say("check.help.model"))
    .option("--json", say("check.help.json"))
    .description(say("check.help"))
    .action(async (experiment: string, options: Options) => {
      try {
        await check(experiment, options);
      } catch (thrown) {
        const { tellRefused } = await import("../refused.ts");
        tellRefused(experiment, thrown, options.json === true);
      }
    });
}

interface Options {
  readonly model?: string;
  readonly json?: boolean;
}

async function check(experiment: string, { model, json = false }: Options): Promise<void> {
  const findings = await findingsOf(experiment, model);
  process.stdout.write(json ? `${JSON.stringify({ experiment, findings }, null, 2)}\n` : textOf(experiment, findings));
  if (findings.some(({ level }) => level === "error")) process.exitCode = 2;
}

async function findingsOf(experiment: string, model: string | undefined): Promise<CheckFinding[]> {
  const { existsSync, readFileSync } = await import("node:fs");
  const { checkConfig } = await import("../../checks/experiment.ts");
  const { hostFacts } = await import("../../checks/host.ts");
  const { pinsFile, readPins } = await import("../../recipe/pins.ts");
  const { homeOf } = await import("../../recipe/home.ts");
  const { homeBeside, onHost, projectFolder } = await import("../project.ts");
  const { readStack } = await import("../stack-file.ts");
  const stated = await readStack(experiment);
  const { config, findings } = model === undefined ? { config: stated, findings: [] } : await withModel(stated, model);
  const pinned = pinsFile(`${projectFolder}/stacks`, experiment);
  const context = {
    pins: readPins(existsSync(pinned) ? readFileSync(pinned, "utf8") : undefined, pinned),
    askHub: model !== undefined,
    hubToken: process.env["HF_TOKEN"],
  };
  const { extras, offline, engine } = await wishesOf(config, projectFolder);
  // The hardware is the host's, the files are this machine's. A machine that is not there yet is proposed instead.
  const planned = isPlanned(config);
  const there = planned
    ? { home: homeOf(process.env) }
    : await onHost(experiment, async (host) => ({
        home: homeBeside(host),
        host: await hostFacts(host, extras, offline, engine),
      }));
  return [...findings, ...(await checkConfig(config, projectFolder, { ...context, ...there }))];
}

/** Is what trains made by `up`? */
function isPlanned({ target, eks }: Readonly<Record<string, unknown>>): boolean {
  return target === "aws" || (target === "eks" && (eks as { readonly name?: unknown } | undefined)?.name === undefined);
}

interface Wishes {
  readonly extras: Variant[];
  readonly offline?: boolean | undefined;
  readonly engine?: OwnEngine | undefined;
}

/** What its environment has beyond the base, whether its host is to be offline, and an engine with an environment of its own; nothing where the experiment can't be read, which is told elsewhere. */
async function wishesOf(config: Readonly<Record<string, unknown>>, folder: string): Promise<Wishes> {
  const { readPlannableExperiment } = await import("../../recipe/runnable-experiment.ts");
  const { variantsFor } = await import("../../recipe/variants.ts");
  const { engineOf } = await import("../../recipe/engines.ts");
  const { experiment } = readPlannableExperiment(config, folder);
  if (experiment === undefined) return { extras: [] };
  return { extras: variantsFor(experiment.train), offline: experiment.compute.offline, engine: engineOf(experiment) };
}

/** The experiment with another model, and with that model's template: it is the model that is asked about. */
async function withModel(
  stated: Readonly<Record<string, unknown>>,
  id: string,
): Promise<{ config: Record<string, unknown>; findings: CheckFinding[] }> {
  if (/^[/.~]/.test(id)) {
    const { Fault } = await import("../../recipe/fault.ts");
    const message = `must be the id of a model on a hub, such as Qwen/Qwen2.5-7B-Instruct, got ${JSON.stringify(id)}.`;
    const next = "A folder is named in the experiment: `tuneup:model: { source: path, id: FOLDER }`.";
    throw new Fault({ code: "option-value", property: "--model", message, next });
  }
  const { fittingTemplate } = await import("../../recipe/compatibility/template.ts");
  const config = { ...stated, model: { source: "hub", id } };
  const train = stated["train"] as Readonly<Record<string, unknown>> | null | undefined;
  const own = train?.["template"];
  const template = typeof own === "string" ? fittingTemplate(own, id) : own;
  if (template === own) return { config, findings: [] };
  const message = `${String(template)} is taken for this check; the file's ${String(own)} is the format of another family.`;
  const next = "To train this model, set it in the file too.";
  const code = "template-taken";
  return {
    config: { ...config, train: { ...train, template } },
    findings: [{ area: "compatibility", level: "warning", code, property: "train.template", message, next }],
  };
}

const marks = { ok: ["green", "✓"], warning: ["yellow", "!"], error: ["red", "✗"] } as const;

const areas: readonly CheckArea[] = [
  ...(["config", "compatibility", "environment", "weights", "data"] as const),
  ...(["machine", "memory", "disk", "time", "price"] as const),
];

/** The findings by area in the user's language, errors with the key at fault, each with its basis and what to do next. */
export function textOf(experiment: string, findings: readonly CheckFinding[]): string {
  const lines = [styleText("bold", experiment)];
  for (const area of areas) {
    for (const [index, finding] of findings.filter((one) => one.area === area).entries()) {
      const [color, mark] = marks[finding.level];
      const { lines: told, next, basis } = findingTexts(finding, languageOf(process.env));
      const [first = "", ...more] = told;
      const title = padColumns(index === 0 ? say(`check.${area}`) : "", 14);
      lines.push(`${title}${styleText(color, mark)} ${first}`);
      for (const line of [...more, ...(next === undefined ? [] : [next])]) lines.push(`${" ".repeat(16)}${line}`);
      if (basis !== undefined) lines.push(styleText("dim", `${" ".repeat(16)}${say("check.basis", { basis })}`));
    }
  }
  const count = (level: CheckFinding["level"]): number => findings.filter((finding) => finding.level === level).length;
  lines.push(say("check.count", { errors: count("error"), warnings: count("warning") }));
  return `${lines.join("\n")}\n`;
}
