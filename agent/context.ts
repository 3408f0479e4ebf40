import type { CommandInput, CommandName, CommandOutput, Commands, LogPosition, Progress } from "../recipe/protocol.ts";
import type { z } from "zod";

/** How a command speaks while it works; main.ts writes it as JSON lines, tests collect it. */
export interface Context {
  progress(progress: Progress): void;
  /** Something worth keeping: why a route failed and what is tried next. */
  log(level: "info" | "warning", message: string): void;
  /** One line of output (`logs`); `at`: where it ends, told with the last of several. */
  data(line: string, at?: LogPosition): void;
  /** Aborted when the caller goes away or asks to cancel. Only waiting ends then, never a run. */
  readonly signal: AbortSignal;
}

/** The implementation of one command. Throws Fault for everything that is told in a sentence. */
export type Handler<N extends CommandName> = (
  input: z.output<Commands[N]["input"]>,
  context: Context,
) => Promise<CommandOutput<N>>;

export type { CommandInput, CommandName, CommandOutput };
