import { createInterface } from "node:readline";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { allowedEnvironment } from "../recipe/child-environment.ts";
import type { CommandInput, CommandName, CommandOutput } from "../recipe/protocol.ts";
import { AgentOutput } from "./agent-output.ts";
import { bundlePath, installAgent } from "./bundle.ts";
import type { CommandOptions, Host, Tunnel } from "./host.ts";

/** This machine: the agent is a child process that speaks JSON lines. */
export class LocalHost implements Host {
  readonly description = "this machine";
  readonly isHere = true;
  readonly dataDirectory: string;

  constructor(dataDirectory: string) {
    this.dataDirectory = dataDirectory;
  }

  async run<N extends CommandName>(
    command: N,
    input: Omit<CommandInput<N>, "dataDirectory">,
    options: CommandOptions = {},
  ): Promise<CommandOutput<N>> {
    // Preflight has to answer where nothing can be written.
    const agent = command === "preflight" ? bundlePath() : await installAgent(this.dataDirectory);
    const output = new AgentOutput(command, options);
    options.signal?.throwIfAborted();
    // A group of its own: the terminal's Ctrl-C reaches the caller, who decides what is cancelled.
    const child = spawn(process.execPath, [agent, command], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: allowedEnvironment(process.env),
    });
    const cancel = (): void => void child.kill("SIGTERM");
    options.signal?.addEventListener("abort", cancel, { once: true });
    const closed = once(child, "close");
    const stderr = text(child.stderr);
    // An agent that died has already closed its stdin; its ending tells why.
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify({ ...input, dataDirectory: this.dataDirectory }));
    try {
      for await (const line of createInterface({ input: child.stdout })) output.take(line);
      const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
      return output.result(signal ?? `exit code ${String(code)}`, await stderr);
    } finally {
      options.signal?.removeEventListener("abort", cancel);
    }
  }

  put(path: string): Promise<string> {
    return Promise.resolve(resolve(path));
  }

  push(): Promise<void> {
    return Promise.resolve();
  }

  fetch(): Promise<void> {
    return Promise.resolve();
  }

  tunnel(port: number): Promise<Tunnel> {
    return Promise.resolve({ port, close: () => Promise.resolve() });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
