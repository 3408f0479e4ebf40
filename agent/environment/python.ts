import { existsSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import { isMissing, readRecord, writeJson } from "../files.ts";
import { ask } from "./ask.ts";

/** A Python interpreter that LLaMA-Factory runs on. */
export interface Python {
  readonly path: string;
  readonly version: string;
}

/** The wheels of the lock exist for these; a newer minor has none of some, LLaMA-Factory refuses older ones. */
export const pythonVersions = ["3.13", "3.12", "3.11"] as const;

const names = [...pythonVersions.map((version) => `python${version}`), "python3"];

const remembered = z.object({ key: z.string(), path: z.string(), version: z.string() });

/**
 * The best Python for the environment: `python3.13`, `3.12`, `3.11`, `python3` on PATH, else one that uv installed, for the user or for us.
 * `memory`: a file of tools/ to remember the answer in, because pyenv's shims take 0.1 s each to say that they have none.
 */
export async function findPython(memory?: string): Promise<Python | null> {
  const candidates = onPath(names);
  const key = JSON.stringify(candidates.map((path) => [path, statSync(path).mtimeMs]));
  const known = memory === undefined ? undefined : await readRecord(memory, remembered);
  if (known?.key === key && existsSync(known.path)) return { path: known.path, version: known.version };
  const found =
    best(await Promise.all(candidates.map(inspect))) ?? best(await Promise.all((await fromUv(memory)).map(inspect)));
  if (found === null) return null;
  // Only a convenience: a folder that can't be written is reported elsewhere.
  if (memory !== undefined) await writeJson(memory, { key, ...found }).catch(() => undefined);
  return found;
}

/** As findPython, or the Fault `python-missing`. */
export async function requirePython(memory?: string): Promise<Python> {
  const python = await findPython(memory);
  if (python !== null) return python;
  throw pythonMissing();
}

/** That there is none. `because`: why none could be brought. */
export function pythonMissing(because?: string): Fault {
  const looked = `looked for ${names.join(", ")} on PATH and for one installed by uv`;
  return new Fault({
    code: "python-missing",
    message: `No Python 3.11, 3.12 or 3.13 was found: ${looked}${because === undefined ? "" : `; ${because.replace(/\.$/, "")}`}.`,
    next: "Install one (Debian, Ubuntu: `apt install python3`; macOS: `brew install python@3.12`; anywhere: `uv python install 3.12`).",
    blame: "infrastructure",
  });
}

function onPath(wanted: readonly string[]): string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  return wanted.flatMap((name) => folders.map((folder) => join(folder, name))).filter((path) => existsSync(path));
}

/** Interpreters that `uv python install` keeps, also where uv itself is gone; ours (own-python.ts) beside the memory. */
async function fromUv(memory: string | undefined): Promise<string[]> {
  const data = process.env["XDG_DATA_HOME"] ?? join(homedir(), ".local", "share");
  const folders = [process.env["UV_PYTHON_INSTALL_DIR"] ?? join(data, "uv", "python")];
  if (memory !== undefined) folders.push(join(dirname(memory), "python"));
  return (await Promise.all(folders.map(installedIn))).flat();
}

async function installedIn(folder: string): Promise<string[]> {
  const installed = await readdir(folder).catch((thrown: unknown) => {
    if (isMissing(thrown)) return [];
    throw thrown;
  });
  return installed
    .filter((name) => name.startsWith("cpython-3."))
    .map((name) => join(folder, name, "bin", "python3"))
    .filter((path) => existsSync(path));
}

const question =
  "import sys; print(sys.executable); print('.'.join(map(str, sys.version_info[:3])), sys.maxsize > 2**32)";

async function inspect(path: string): Promise<Python | null> {
  const answer = await ask(path, ["-I", "-S", "-c", question]);
  const [executable = "", facts = ""] = (answer ?? "").split("\n");
  const [version = "", wide] = facts.split(" ");
  const supported = pythonVersions.some((minor) => version.startsWith(`${minor}.`));
  return supported && wide === "True" ? { path: executable, version } : null;
}

function best(found: readonly (Python | null)[]): Python | null {
  const minor = ({ version }: Python) => Number(version.split(".")[1]);
  return found.filter((python) => python !== null).toSorted((a, b) => minor(b) - minor(a))[0] ?? null;
}
