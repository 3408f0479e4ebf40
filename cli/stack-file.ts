import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isMap, parseDocument } from "yaml";
import { writeAtomically } from "../agent/files.ts";
import { secretKeys } from "../recipe/experiment-schema.ts";
import { Fault } from "../recipe/fault.ts";
import { stackConfig } from "../recipe/stack-edit.ts";
import { projectFolder, stackFile } from "./project.ts";

/**
 * The path for an experiment's new stack file. Throws Fault for a name that can't be one, and for one that is taken; `overwrite` is left
 * out where the command has no --force.
 */
export function newStackPath(experiment: string, overwrite?: boolean): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(experiment)) {
    throw new Fault({
      code: "experiment-name",
      message: `an experiment's name must be of letters, digits, dots, dashes and underscores and begin with a letter or digit, got ${JSON.stringify(experiment)}.`,
      next: "Say another one, such as my-qwen.",
    });
  }
  const path = `${projectFolder}/stacks/Pulumi.${experiment}.yaml`;
  if (overwrite !== true && existsSync(path)) {
    throw new Fault({
      code: "experiment-exists",
      message: `stacks/Pulumi.${experiment}.yaml is there already.`,
      next: overwrite === undefined ? "Choose another name." : "Choose another name, or overwrite it with --force.",
    });
  }
  return path;
}

/** A new text for a stack file that is there already, with what Pulumi encrypted for it, which is nowhere else. */
export async function keepingSecrets(path: string, text: string): Promise<string> {
  const old = parseDocument(existsSync(path) ? await readFile(path, "utf8") : "");
  const document = parseDocument(text);
  const kept = [
    ...["encryptionsalt", "encryptedkey", "secretsprovider"].map((key) => [key]),
    ...secretKeys.map((key) => ["config", `tuneup:${key}`]),
  ].filter((place) => old.errors.length === 0 && isMap(old.contents) && old.hasIn(place));
  if (kept.length === 0) return text;
  for (const place of kept) document.setIn(place, old.getIn(place, true));
  return document.toString({ lineWidth: 0 });
}

/**
 * The values under `tuneup:` of an experiment's stack file. Throws Fault with the file's path, and the line where YAML tells it,
 * for what is no text, no YAML, or no stack file.
 */
export async function readStack(experiment: string): Promise<Record<string, unknown>> {
  const place = `stacks/Pulumi.${experiment}.yaml`;
  const bytes = await readFile(await stackFile(experiment)).catch((thrown: unknown) => {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    throw new Fault({ code: "stack-unreadable", message: `${place} can't be read (${code}).` });
  });
  return stackConfig(textOf(bytes, place), place);
}

function textOf(bytes: Buffer, place: string): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch {
    // Told below.
  }
  const message = `${place} is no text in UTF-8.`;
  throw new Fault({ code: "stack-yaml", message, next: "Restore it, or save it as UTF-8." });
}

/** Writes a stack file: whole or not at all. */
export async function writeStack(path: string, text: string): Promise<void> {
  await writeAtomically(path, text, 0o644);
}
