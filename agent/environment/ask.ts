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

/** What a short command that must not be believed blindly answered. */
export interface Answer {
  /** Its stdout, if it did well. */
  readonly said?: string;
  /** Why it did not, by its first words; neither of them if it is missing. */
  readonly failure?: string;
}

/** Asks a short command that has `milliseconds` to answer. */
export function askWhy(file: string, words: readonly string[], milliseconds: number): Promise<Answer> {
  return new Promise((resolve) => {
    const options = { env: childEnvironment(), timeout: milliseconds, killSignal: "SIGKILL" } as const;
    execFile(file, words, options, (error, stdout, stderr) => {
      if (error === null) resolve({ said: stdout });
      else if (error.code === "ENOENT" || error.code === "EACCES") resolve({});
      else if (error.killed === true) resolve({ failure: `it did not answer within ${milliseconds / 1000} s` });
      else {
        const first = `${stdout}\n${stderr}`.split("\n").find((line) => line.trim() !== "") ?? "";
        resolve({ failure: first.trim() || `it ended with ${error.code ?? error.signal ?? "an error"}` });
      }
    }).stdin?.end();
  });
}
