import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { travellingPart } from "../recipe/child-environment.ts";
import { Fault } from "../recipe/fault.ts";
import type { CommandInput, CommandName, CommandOutput } from "../recipe/protocol.ts";
import { AgentOutput } from "./agent-output.ts";
import type { CommandOptions } from "./host.ts";
import type { RemoteLink } from "./remote-link.ts";

/** The connection ended before the answer came: the command may be repeated. */
export class LostConnection extends Error {
  override readonly name = "LostConnection";
  /** What the way to the host said. */
  readonly fault: Fault;
  /** Did the host say anything before? Then it was reached. */
  readonly heard: boolean;

  constructor(fault: Fault, heard: boolean) {
    super(fault.sentence, { cause: fault });
    this.fault = fault;
    this.heard = heard;
  }
}

/** Where Node and the agent are on the host. */
export interface Programs {
  readonly node: string;
  readonly agent: string;
}

const heartbeatMs = 5000;
/** An agent that was told that nobody listens ends at once; one that can't be told is left to its own patience. */
const goodbyeMs = 2000;

/** Our variables for the agent there. They travel on stdin: an address may hold a password. */
export function travellingEnvironment(): Record<string, string> {
  return travellingPart(process.env);
}

/** Runs one agent command on the host, once. Throws LostConnection, the agent's Fault, or `cancelled`. */
export async function runRemote<N extends CommandName>(
  link: RemoteLink,
  { node, agent }: Programs,
  command: N,
  input: CommandInput<N>,
  options: CommandOptions,
): Promise<CommandOutput<N>> {
  options.signal?.throwIfAborted();
  const output = new AgentOutput(command, options);
  const child = link.start([node, agent, command, "--lifeline"]);
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  const stderr = text(child.stderr);
  child.stdin.on("error", () => undefined);
  child.stdin.write(`${JSON.stringify({ input, environment: travellingEnvironment() })}\n`);
  const heartbeat = setInterval(() => child.stdin.write("\n"), heartbeatMs);
  let goodbye: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    child.stdin.end();
    goodbye = setTimeout(() => child.kill("SIGTERM"), goodbyeMs);
  };
  options.signal?.addEventListener("abort", cancel, { once: true });
  let heard = false;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (!isWhole(line)) continue;
      heard = true;
      output.take(line);
      if (output.isOver) child.stdin.end();
    }
    const [code, signal] = await closed;
    const said = await stderr;
    if (output.isOver) return output.result("", said);
    if (options.signal?.aborted === true) {
      throw new Fault({ code: "cancelled", message: `${command} was cancelled.`, blame: "infrastructure" });
    }
    if (link.isLost(code)) throw new LostConnection(await link.fault(said, child), heard);
    return output.result(signal ?? `exit code ${String(code)}`, said);
  } finally {
    clearInterval(heartbeat);
    clearTimeout(goodbye);
    options.signal?.removeEventListener("abort", cancel);
  }
}

/** A connection that broke may leave the first half of a line. */
function isWhole(line: string): boolean {
  return line.startsWith("{") && line.endsWith("}");
}
