import { execFile } from "node:child_process";
import { childEnvironment } from "../processes.ts";

/**
 * stdout of a short command, undefined if it is missing, fails or takes longer than 10 s.
 * Without execa, whose import alone would take half of the time that a preflight may take.
 */
export function ask(file: string, words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { env: childEnvironment(), timeout: 10_000 };
    execFile(file, words, options, (error, stdout) => resolve(error === null ? stdout : undefined)).stdin?.end();
  });
}

/** Why a short command that is there fails, by its first words; undefined if it is missing or does well. */
export function askWhy(file: string, words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { env: childEnvironment(), timeout: 10_000 };
    execFile(file, words, options, (error, stdout, stderr) => {
      if (error === null || error.code === "ENOENT" || error.code === "EACCES") {
        resolve(undefined);
        return;
      }
      const [said = ""] = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
      resolve(error.killed === true ? "it did not answer within 10 s" : said.trim() || `it ended with ${error.code}`);
    }).stdin?.end();
  });
}
