import * as errors from "@pulumi/pulumi/automation/errors.js";
import { execa } from "execa";
import { parse } from "semver";
import { PulumiCommand } from "./automation.ts";
import { endingSignals } from "./interrupt.ts";
import type { PulumiTool } from "./toolchain/route.ts";

/** What a command printed and how it ended, as the Automation API hands it around. */
interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** What `CommandError` shows. */
  toString(): string;
}

type Listen = (text: string) => void;

/** How the Automation API runs each command; its types leave that out. */
type Run = (
  words: readonly string[],
  folder: string,
  variables: Readonly<Record<string, string>>,
  onOutput?: Listen,
  onError?: Listen,
  signal?: AbortSignal,
) => Promise<Result>;

/** Makes of a result the error that the API's callers tell apart; its types leave that out too. */
const { createCommandError } = errors as unknown as { readonly createCommandError: (result: Result) => Error };

/**
 * A Pulumi CLI for the Automation API, in a process group of its own: a terminal's Ctrl-C then reaches us alone, like a
 * signal to our pid, and the engine is told of each once. Told twice of one it would give up in the middle of an operation.
 */
export function pulumiOfOwnGroup({ command, version }: Pick<PulumiTool, "command" | "version">): PulumiCommand {
  const run: Run = (words, folder, variables, ...listeners) =>
    runToEnd(command, [...words, "--non-interactive"], folder, variables, ...listeners);
  // The API's own way to one asks the CLI for its version again.
  return Object.assign(Object.create(PulumiCommand.prototype) as PulumiCommand, {
    command,
    version: parse(version),
    run,
  });
}

/** Runs one command to its end. The first of our signals reaches it by `signal` if there is one, every other as it comes. */
export async function runToEnd(
  command: string,
  words: readonly string[],
  ...rest: Tail<Parameters<Run>>
): Promise<Result> {
  const [folder, variables, onOutput, onError, signal] = rest;
  const child = execa(command, words, {
    ...{ cwd: folder, env: { ...variables, PULUMI_AUTOMATION_API: "true" }, stdin: "ignore" },
    ...{ detached: true, reject: false, stripFinalNewline: false },
  });
  if (onOutput !== undefined) child.stdout.setEncoding("utf8").on("data", onOutput);
  if (onError !== undefined) child.stderr.setEncoding("utf8").on("data", onError);
  const stop = passSignals(() => child.kill("SIGINT"), signal);
  const ended = await child.finally(stop);
  const { stdout, exitCode: code = -2 } = ended;
  const stderr = ended.exitCode === undefined ? `${ended.stderr}${ended.shortMessage ?? ""}` : ended.stderr;
  const result: Result = {
    stdout,
    stderr,
    code,
    toString: () => `code: ${code}\n stdout: ${stdout}\n stderr: ${stderr}\n err?: \n`,
  };
  if (code !== 0) throw createCommandError(result);
  return result;
}

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

/**
 * Calls `interrupt` when `signal` aborts and at every signal to us after that: who asks twice waits no longer. Without a `signal`
 * at each. Returns what ends the listening.
 */
function passSignals(interrupt: () => void, signal: AbortSignal | undefined): () => void {
  const pass = (): void => {
    if (signal === undefined || signal.aborted) interrupt();
  };
  // Before the others: one of them aborts `signal`, and the next time ends this process.
  for (const name of endingSignals) process.prependListener(name, pass);
  // However we end, it does not go on without us.
  process.on("exit", interrupt);
  signal?.addEventListener("abort", interrupt, { once: true });
  if (signal?.aborted === true) interrupt();
  return () => {
    for (const name of endingSignals) process.off(name, pass);
    process.off("exit", interrupt);
    signal?.removeEventListener("abort", interrupt);
  };
}
