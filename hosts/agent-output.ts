import { withoutUndefined } from "../recipe/defined.ts";
import { Fault } from "../recipe/fault.ts";
import { agentMessage, type CommandName, type CommandOutput, commands } from "../recipe/protocol.ts";
import type { CommandOptions } from "./host.ts";

/** Takes the agent's stdout line by line; `result()` after its end is the command's output or throws its fault. */
export class AgentOutput<N extends CommandName> {
  readonly #command: N;
  readonly #options: CommandOptions;
  #value: { readonly output: CommandOutput<N> } | undefined;
  #fault: Fault | undefined;

  constructor(command: N, options: CommandOptions) {
    this.#command = command;
    this.#options = options;
  }

  /** Has it said how it ended? */
  get isOver(): boolean {
    return this.#value !== undefined || this.#fault !== undefined;
  }

  /** One line of stdout. A line that is no message of the agent's is a bug and said as one. */
  take(line: string): void {
    const message = agentMessage.parse(JSON.parse(line));
    switch (message.type) {
      case "progress":
        this.#options.onProgress?.(message.progress);
        break;
      case "log":
        this.#options.onLog?.(message.level, message.message);
        break;
      case "data":
        this.#options.onLine?.(message.line, message.at);
        break;
      case "result":
        this.#value = { output: commands[this.#command].output.parse(message.value) as CommandOutput<N> };
        break;
      case "fault":
        this.#fault = new Fault(withoutUndefined(message.fault));
        break;
    }
  }

  /** The output. `stderr` is told where the agent died without a word. */
  result(ending: string, stderr: string): CommandOutput<N> {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#value !== undefined) return this.#value.output;
    throw new Fault({
      code: "agent-died",
      message:
        `The agent's ${this.#command} ended without an answer (${ending}). ${stderr.trim().split("\n").at(-1) ?? ""}`.trim(),
      next: "Run the same command again; if it stays, `npx tuneup doctor --bundle FILE` collects what a bug report needs.",
      blame: "infrastructure",
    });
  }
}
