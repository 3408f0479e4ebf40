import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/** Where Debian and Ubuntu have what only root needs; a user's PATH lacks them. */
const systemFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** What is looked for. */
export interface Wanted {
  /** Names, the best first. */
  readonly anyOf: readonly string[];
  /** The words that it has to answer to with exit code 0, such as `--version`. Default: it has to be there, no more. */
  readonly answers?: readonly string[];
}

/**
 * Path of the first of these programs in the folders of `path` (default: PATH) or the system's; undefined where there is none.
 * Ubuntu's `chromium-browser` of apt only says that there is a snap: a name alone is no program.
 */
export function findProgram({ anyOf, answers }: Wanted, path = process.env["PATH"] ?? ""): string | undefined {
  const folders = [...path.split(":").filter((folder) => folder !== ""), ...systemFolders];
  const paths = anyOf.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find((file) => isExecutable(file) && (answers === undefined || doesAnswer(file, answers)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The slowest start of a browser on a busy machine, many times over. */
const patienceMs = 60_000;

function doesAnswer(file: string, words: readonly string[]): boolean {
  return spawnSync(file, words, { stdio: "ignore", timeout: patienceMs }).status === 0;
}
