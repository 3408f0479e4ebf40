import { asFault, Fault } from "../recipe/fault.ts";
import { type AgentMessage, type CommandName, commands } from "../recipe/protocol.ts";
import type { Context, Handler } from "./context.ts";
import { readInput, readRemoteInput } from "./lifeline.ts";

/** Loads only what a command needs: most of them run many times in a `pulumi preview`. */
const handlers: { readonly [N in CommandName]: () => Promise<Handler<N>> } = {
  preflight: async () => (await import("./preflight.ts")).preflight,
  "environment-ensure": async () => (await import("./environment/commands.ts")).environmentEnsure,
  "environment-read": async () => (await import("./environment/commands.ts")).environmentRead,
  "weights-ensure": async () => (await import("./weights/commands.ts")).weightsEnsure,
  "weights-read": async () => (await import("./weights/commands.ts")).weightsRead,
  "weights-adopt": async () => (await import("./weights/adopt.ts")).weightsAdopt,
  "dataset-ensure": async () => (await import("./datasets/commands.ts")).datasetEnsure,
  "dataset-read": async () => (await import("./datasets/commands.ts")).datasetRead,
  "dataset-sample": async () => (await import("./datasets/sample.ts")).datasetSampleCommand,
  "run-declare": async () => (await import("./runs/commands.ts")).runDeclare,
  "run-read": async () => (await import("./runs/commands.ts")).runRead,
  "run-wait": async () => (await import("./runs/commands.ts")).runWait,
  "run-stop": async () => (await import("./runs/commands.ts")).runStop,
  "run-list": async () => (await import("./runs/commands.ts")).runList,
  "run-curve": async () => (await import("./runs/commands.ts")).runCurve,
  "endpoint-declare": async () => (await import("./endpoints/commands.ts")).endpointDeclare,
  "endpoint-read": async () => (await import("./endpoints/commands.ts")).endpointRead,
  "endpoint-wait": async () => (await import("./endpoints/commands.ts")).endpointWait,
  "endpoint-delete": async () => (await import("./endpoints/commands.ts")).endpointDelete,
  "endpoint-rotate-key": async () => (await import("./endpoints/commands.ts")).endpointRotateKey,
  "files-state": async () => (await import("./transfer/commands.ts")).filesState,
  usage: async () => (await import("./housekeeping.ts")).usage,
  purge: async () => (await import("./housekeeping.ts")).purge,
  logs: async () => (await import("./housekeeping.ts")).logs,
};

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
    const value = await handler(input, contextOf(abort.signal));
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

async function main([word, ...rest]: readonly string[]): Promise<void> {
  // Whatever it or its children make on the host (SQLite's locks, the trainer's output) is for its user alone.
  process.umask(0o077);
  // The programs that live on the host: started detached by the commands (in a cluster by their Pods), never by hand. Then what carries files.
  if (word === "supervise") return (await import("./runs/supervisor.ts")).supervise(rest);
  if (word === "work") return (await import("./runs/work.ts")).work(rest);
  if (word === "serve") return (await import("./endpoints/gateway.ts")).serve(rest);
  if (word === "receive") return (await import("./transfer/commands.ts")).receive();
  if (word === "send") return (await import("./transfer/commands.ts")).send();
  if (word !== undefined && word in commands) return runCommand(word as CommandName, rest.includes("--lifeline"));
  process.stderr.write(`Unknown command ${JSON.stringify(word)}. Commands: ${Object.keys(commands).join(", ")}.\n`);
  process.exitCode = 2;
}

await main(process.argv.slice(2));
