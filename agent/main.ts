import { existsSync } from "node:fs";
import { asFault, Fault } from "../recipe/fault.ts";
import { type AgentMessage, type CommandName, commands } from "../recipe/protocol.ts";
import { resumePlaceFile } from "../recipe/resume-plan.ts";
import type { Context } from "./context.ts";
import { handlers } from "./handlers.ts";
import { readInput, readRemoteInput } from "./lifeline.ts";
import type { Replay } from "./resume/resume.ts";

function send(message: AgentMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function contextOf(signal: AbortSignal): Context {
  return {
    progress: (progress) => send({ type: "progress", progress }),
    log: (level, message) => send({ type: "log", level, message }),
    data: (line, at) => send({ type: "data", line, ...(at === undefined ? {} : { at }) }),
    signal,
  };
}

async function runCommand(name: CommandName, isRemote: boolean): Promise<void> {
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => abort.abort());
  // The caller is gone when nobody reads our output any more.
  process.stdout.on("error", () => abort.abort());
  try {
    const given = await (isRemote ? readRemoteInput(() => abort.abort()) : readInput());
    const input = commands[name].input.parse(given);
    // One name, one schema, one handler: what the types can't say for a name that is only known at run time.
    const handler = (await handlers[name]()) as (input: unknown, context: Context) => Promise<unknown>;
    const context = contextOf(abort.signal);
    const value = await handler(input, context);
    await keepForNext(name, input, context);
    send({ type: "result", value });
  } catch (thrown) {
    const fault = abort.signal.aborted
      ? new Fault({ code: "cancelled", message: `${name} was cancelled.`, blame: "infrastructure" })
      : asFault(thrown);
    if (fault.blame === "bug" && thrown instanceof Error) process.stderr.write(`${thrown.stack ?? thrown.message}\n`);
    send({ type: "fault", fault: fault.toFacts() });
    process.exitCode = 1;
  } finally {
    // A remote caller keeps it open as long as it listens.
    process.stdin.destroy();
  }
}

/** On a machine that may be taken back the next one is told the same again. What the bucket refuses is said, and the command is done all the same. */
async function keepForNext(name: CommandName, input: { readonly dataDirectory: string }, context: Context) {
  if (!existsSync(resumePlaceFile(input.dataDirectory))) return;
  const { keepCommand, takeBack } = await import("./resume/record.ts");
  const isLast = (await keepCommand(name, { ...input })) && /^(run|endpoint)-declare$/.test(name);
  if (!isLast && !(await takeBack(name, { ...input }))) return;
  const { publishPlan } = await import("./resume/publish.ts");
  await publishPlan(input.dataDirectory, context.signal).catch((thrown: unknown) => {
    context.log(
      "warning",
      `If AWS takes this machine back, the next one can't go on by itself: ${asFault(thrown).sentence}`,
    );
  });
}

/** One word for all commands: `resume` does again what they did. */
const replay: Replay = async (command, input, context) => {
  const handler = (await handlers[command]()) as (input: unknown, context: Context) => Promise<unknown>;
  await handler(input, context);
  const { keepCommand } = await import("./resume/record.ts");
  await keepCommand(command, input as { dataDirectory: string });
};

async function main([word, ...rest]: readonly string[]): Promise<void> {
  // Whatever it or its children make on the host (SQLite's locks, the trainer's output) is for its user alone.
  process.umask(0o077);
  // The programs that live on the host: started detached by the commands (in a cluster by their Pods), never by hand. Then what carries files.
  if (word === "supervise") return (await import("./runs/supervisor.ts")).supervise(rest);
  if (word === "work") return (await import("./runs/work.ts")).work(rest);
  if (word === "serve") return (await import("./endpoints/gateway.ts")).serve(rest);
  if (word === "resume") return (await import("./resume/resume.ts")).resume(rest, replay);
  if (word === "receive") return (await import("./transfer/commands.ts")).receive();
  if (word === "send") return (await import("./transfer/commands.ts")).send();
  if (word !== undefined && word in commands) return runCommand(word as CommandName, rest.includes("--lifeline"));
  process.stderr.write(`Unknown command ${JSON.stringify(word)}. Commands: ${Object.keys(commands).join(", ")}.\n`);
  process.exitCode = 2;
}

await main(process.argv.slice(2));
