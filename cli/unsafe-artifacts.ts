import { createInterface } from "node:readline/promises";
import { safetyOf } from "../hosts/artifact.ts";
import type { Host } from "../hosts/host.ts";
import { Fault } from "../recipe/fault.ts";
import { bring } from "./commands/fetch.ts";
import { say } from "./language/say.ts";
import { homeBeside } from "./project.ts";

/** What is about to be taken down. */
interface Question {
  readonly experiment: string;
  /** Are all runs about to be deleted? Then each artifact counts, else that of the newest complete run. */
  readonly all: boolean;
  /** A bucket that is about to be deleted too. Default: none is. */
  readonly bucket?: string | undefined;
  readonly signal: AbortSignal;
  /** Where the user is asked. Default: this process's own. */
  readonly terminal?: Terminal;
}

/** A terminal, or what stands where one could be. */
interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/**
 * Before anything is taken down: an artifact that is complete on the host alone is fetched or given up by the user's own word. Throws Fault
 * `artifact-unsafe` off a terminal, `cancelled` where the user says so. On this machine there is nothing to ask.
 */
export async function requireSafe(
  host: Host,
  { experiment, all, bucket, signal, terminal = { input: process.stdin, output: process.stdout } }: Question,
): Promise<"safe" | "discard"> {
  const runs = await unsafeRuns(host, { experiment, all, bucket });
  if (runs.length === 0) return "safe";
  const what = { runs: runs.join(", "), host: host.description };
  if (terminal.input.isTTY !== true || terminal.output.isTTY !== true) {
    throw new Fault({
      code: "artifact-unsafe",
      message: `What ${what.runs} left lies on ${what.host} alone.`,
      next: `\`npx tuneup fetch ${experiment}\` brings it here; \`npx tuneup down ${experiment} --discard\` goes on without it.`,
    });
  }
  terminal.output.write(`${say("down.unsafe", what)}\n`);
  const answer = await choose(terminal);
  if (answer === "cancel") {
    throw new Fault({
      code: "cancelled",
      message: "Nothing was taken down.",
      next: `\`npx tuneup fetch ${experiment}\` brings the artifact here.`,
    });
  }
  if (answer === "discard") return "discard";
  for (const run of runs) await bring(host, run, signal);
  return "safe";
}

async function unsafeRuns(
  host: Host,
  { experiment, all, bucket }: Pick<Question, "experiment" | "all" | "bucket">,
): Promise<string[]> {
  if (host.isHere || (await host.isUp?.()) === false) return [];
  const complete = (await host.run("run-list", { experiment })).filter(({ state }) => state === "complete");
  const unsafe: string[] = [];
  for (const { run } of all ? complete : complete.slice(0, 1))
    if ((await safetyOf(host, run, homeBeside(host), bucket)) === "unsafe") unsafe.push(run);
  return unsafe;
}

/** Asks until it is one of the three; no answer (Ctrl-D, Ctrl-C) is cancel. */
async function choose({ input, output }: Terminal): Promise<"fetch" | "discard" | "cancel"> {
  const prompt = createInterface({ input, output });
  const ended = new AbortController();
  prompt.once("close", () => ended.abort());
  prompt.on("SIGINT", () => prompt.close());
  try {
    for (;;) {
      const answer = (await prompt.question(say("down.unsafe.question"), { signal: ended.signal })).trim();
      const known = { f: "fetch", d: "discard", c: "cancel" } as const;
      const chosen = known[answer.toLowerCase().slice(0, 1) as "f"] as (typeof known)[keyof typeof known] | undefined;
      if (chosen !== undefined) return chosen;
    }
  } catch (thrown) {
    if (!ended.signal.aborted) throw thrown;
    output.write("\n");
    return "cancel";
  } finally {
    prompt.close();
  }
}
