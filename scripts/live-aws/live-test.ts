import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { sayIn } from "../../cli/language/say.ts";
import { asFault, Fault } from "../../recipe/fault.ts";
import type { Plan } from "./plan.ts";

/** How a `tuneup` command ended, and what it wrote to stdout. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** What the live test does to the world. */
export interface LiveCommands {
  /** Runs `npx tuneup WORDS` to its end. `signal` interrupts it once, as Ctrl-C does; it is waited for all the same. */
  readonly tuneup: (
    words: readonly string[],
    options?: { readonly input?: string; readonly signal?: AbortSignal },
  ) => Promise<Ended>;
  /** Writes the experiment's stack file. */
  readonly write: (plan: Plan) => Promise<void>;
  /** Removes it, with what was kept beside it. */
  readonly remove: (plan: Plan) => Promise<void>;
  readonly say: (line: string) => void;
}

const question = "Who are you?";
/** What the experiment teaches the model to answer. */
const taught = /\bAda\b/;

const audited = z.object({
  orphans: z.array(z.object({ stack: z.string(), kind: z.string(), id: z.string(), usdMonth: z.number().nullable() })),
});
const rows = z.tuple([
  z.object({ run: z.object({ state: z.string() }).nullable(), endpoint: z.unknown(), fault: z.unknown().optional() }),
]);

/** How often `down` is tried, and milliseconds between two tries. */
const tries = 3;

/**
 * The live test: up, a question, up again, status, down --purge, audit. Whatever happens on the way, what was made is taken down, and what is left is
 * said. `signal` interrupts the step that runs; the taking down is never interrupted. Throws Fault `live-step` for a step that failed, `live-left`
 * where something is left, `cancelled`.
 */
export async function liveTest(
  plan: Plan,
  commands: LiveCommands,
  { signal, pause = 30_000 }: { signal: AbortSignal; pause?: number },
): Promise<void> {
  const isInterrupted = (): boolean => signal.aborted;
  if (isInterrupted()) throw cancelled(plan);
  await commands.write(plan);
  let failed: Fault | undefined;
  try {
    for (const [name, step] of stepsOf(plan, commands, signal)) {
      commands.say(`- ${name}`);
      await step();
      signal.throwIfAborted();
    }
  } catch (thrown) {
    failed = isInterrupted() ? cancelled(plan) : asFault(thrown);
    commands.say(failed.sentence);
  }
  await takeDown(plan, commands, pause);
  if (failed !== undefined) throw failed;
}

type Step = readonly [name: string, work: () => Promise<void>];

function stepsOf({ experiment }: Plan, { tuneup }: LiveCommands, signal: AbortSignal): Step[] {
  const run = async (words: readonly string[], input?: string): Promise<string> => {
    const { code, output } = await tuneup(words, { signal, ...(input === undefined ? {} : { input }) });
    if (code === 0) return output;
    throw wrong(words, `ended with exit code ${code}`);
  };
  return [
    [
      "up",
      async () => {
        await run(["up", experiment]);
      },
    ],
    [
      "a question",
      async () => {
        const words = ["chat", experiment, "--temperature", "0"];
        const answer = await run(words, `${question}\n`);
        if (!taught.test(answer)) throw wrong(words, `did not answer ${question} with the name that was taught`);
      },
    ],
    [
      "up again changes nothing",
      async () => {
        const words = ["up", experiment];
        if (!(await run(words)).includes(sayIn("en")("up.unchanged"))) throw wrong(words, "changed something");
      },
    ],
    [
      "status",
      async () => {
        const words = ["status", experiment, "--json"];
        const told = rows.safeParse(jsonOf(await run(words)));
        const [row] = told.data ?? [];
        const isDone = row?.fault === undefined && row?.run?.state === "complete";
        if (!isDone || row.endpoint === null) throw wrong(words, "does not tell of a complete run and an endpoint");
      },
    ],
  ];
}

/** Takes down what was made, looks at what is left, and says it. Throws Fault `live-left`. */
async function takeDown(plan: Plan, { tuneup, remove, say }: LiveCommands, pause: number): Promise<void> {
  const { experiment, region } = plan;
  const down = ["down", experiment, "--purge", "--yes", "--discard"];
  let isDown = false;
  for (let tried = 1; tried <= tries && !isDown; tried += 1) {
    if (tried > 1) await delay(pause);
    say(`- down --purge${tried > 1 ? `, try ${tried} of ${tries}` : ""}`);
    isDown = await tuneup(down).then(
      ({ code }) => code === 0,
      () => false,
    );
  }
  say("- audit");
  const left = await leftOf(plan, tuneup);
  if (isDown && left?.length === 0) {
    await remove(plan);
    say(`Nothing of ${experiment} is left in ${region}.`);
    return;
  }
  const what =
    left === undefined
      ? "what is left could not be asked"
      : left.length > 0
        ? `left in ${region}: ${left.join(", ")}`
        : "`audit` lists nothing, but roles, a schedule, or what the state still owns may be left";
  throw new Fault({
    code: "live-left",
    message: `${experiment} was not taken down whole: ${what}.`,
    next: `Its lease ends the machine by itself; the rest is billed until \`npx tuneup ${down.join(" ")}\` has ended well. \`npx tuneup audit --region ${region}\` names what no stack owns.`,
    blame: "infrastructure",
  });
}

/** What of the experiment's is in no state, a few words each; undefined where it can't be told. */
async function leftOf(
  { experiment, region }: Plan,
  tuneup: LiveCommands["tuneup"],
): Promise<readonly string[] | undefined> {
  const ended = await tuneup(["audit", "--region", region, "--json"]).catch(() => undefined);
  const told = audited.safeParse(jsonOf(ended?.output ?? ""));
  return told.data?.orphans
    .filter(({ stack }) => stack === experiment)
    .map(({ kind, id, usdMonth }) => `${kind} ${id} (${usdMonth?.toFixed(2) ?? "?"} USD a month)`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wrong(words: readonly string[], what: string): Fault {
  return new Fault({
    code: "live-step",
    message: `\`npx tuneup ${words.join(" ")}\` ${what}.`,
    next: "What was made is taken down now.",
    blame: "infrastructure",
  });
}

function cancelled({ experiment }: Plan): Fault {
  return new Fault({
    code: "cancelled",
    message: "Interrupted.",
    next: `What was made for ${experiment} is taken down now, which takes minutes.`,
    blame: "infrastructure",
  });
}
