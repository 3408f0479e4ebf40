import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { z } from "zod";
import { type Replayed, replayed, resumePlaceFile } from "../../recipe/resume-plan.ts";
import type { CommandName } from "../../recipe/protocol.ts";
import { isMissing, readRecord, writeJson } from "../files.ts";

/** What is kept of a command: its input without secrets, and what it gave out where that is needed again. */
const kept = z.object({
  command: z.enum([...replayed, "weights-adopt", "dataset-ensure"]),
  input: z.record(z.string(), z.unknown()),
});
export type Kept = z.infer<typeof kept>;

const recorded: readonly string[] = kept.shape.command.options;

/** What no bucket is to have, nor what the next machine has not: keys, tokens, packages that were pushed. */
const left = ["dataDirectory", "hubToken", "s3", "tls", "wheels"];

/** May this machine be taken back, so that another has to go on by what it was told? */
export function isReplaceable(dataDirectory: string): boolean {
  return existsSync(resumePlaceFile(dataDirectory));
}

/** Keeps a command that was done, in place of an earlier one of its kind. Returns false for one that is not done again. */
export async function keepCommand(
  command: CommandName,
  { dataDirectory, ...input }: Readonly<Record<string, unknown>> & { readonly dataDirectory: string },
): Promise<boolean> {
  if (!recorded.includes(command)) return false;
  await writeJson(fileOf(dataDirectory, nameOf(command, input)), { command, input: withoutSecrets(command, input) });
  return true;
}

/** What takes back which command. */
const undone: Readonly<Partial<Record<CommandName, Kept["command"]>>> = {
  "run-stop": "run-declare",
  "endpoint-delete": "endpoint-declare",
};

/** Marks what a command took back as over: the next machine does not do it again. Returns false where nothing of the kind was kept. */
export async function takeBack(
  command: CommandName,
  { dataDirectory, run }: Readonly<Record<string, unknown>> & { readonly dataDirectory: string },
): Promise<boolean> {
  const name = undone[command];
  const path = fileOf(dataDirectory, name ?? "");
  const before = name === undefined ? undefined : await readRecord(path, kept);
  if (before === undefined) return false;
  const { spec } = before.input as { readonly spec?: { readonly run?: unknown } };
  // Another run than the one that is to go on was stopped.
  if (command === "run-stop" && spec?.run !== run) return false;
  await writeJson(path, { ...before, input: { ...before.input, over: true } });
  return true;
}

function withoutSecrets(command: CommandName, input: Readonly<Record<string, unknown>>): Kept["input"] {
  // Its rows are published as they were prepared.
  if (command === "dataset-ensure") return { digest: input["digest"] };
  const rest = Object.fromEntries(Object.entries(input).filter(([key]) => !left.includes(key)));
  // Of how a bucket is reached only what is no key.
  const { region, endpoint } = (input["s3"] ?? {}) as Readonly<Record<string, unknown>>;
  const access = input["s3"] === undefined ? {} : { s3: { region, endpoint } };
  return { ...rest, ...access, ...(input["tls"] === undefined ? {} : { withSecret: true }) };
}

/** All that was kept, by the names of their files. */
export async function keptCommands(dataDirectory: string): Promise<ReadonlyMap<string, Kept>> {
  const folder = `${dataDirectory}/resume/told`;
  const names = await readdir(folder).catch((thrown: unknown) => {
    if (isMissing(thrown)) return [];
    throw thrown;
  });
  const all = new Map<string, Kept>();
  for (const name of names.filter((one) => one.endsWith(".json")).toSorted()) {
    const found = await readRecord(`${folder}/${name}`, kept);
    if (found !== undefined) all.set(name.replace(".json", ""), found);
  }
  return all;
}

/** An engine has an environment of its own, and pushed weights take the place of fetched ones. */
function nameOf(command: CommandName, { engine }: Readonly<Record<string, unknown>>): string {
  if (command.startsWith("weights-")) return "weights";
  return command === "environment-ensure" && engine !== undefined ? `${command}-engine` : command;
}

function fileOf(dataDirectory: string, name: string): string {
  return `${dataDirectory}/resume/told/${name}.json`;
}

/** Commands of a plan in their order: what trains first, and an engine's environment only then. */
export function inOrder(all: readonly Kept[]): { readonly command: Replayed; readonly input: Kept["input"] }[] {
  const orderOf = ({ command, input }: { command: Replayed; input: Kept["input"] }): number =>
    input["engine"] === undefined || command !== "environment-ensure"
      ? replayed.indexOf(command)
      : replayed.indexOf("run-declare") + 0.5;
  return all
    .flatMap(({ command, input }) => (isReplayed(command) ? [{ command, input }] : []))
    .toSorted((a, b) => orderOf(a) - orderOf(b));
}

function isReplayed(command: Kept["command"]): command is Replayed {
  return (replayed as readonly string[]).includes(command);
}
