import type { Context } from "../../agent/context.ts";
import type { Progress } from "../../recipe/protocol.ts";

/** A context that keeps what a command says. */
export interface Heard extends Context {
  readonly progressed: Progress[];
  readonly logged: string[];
}

/** A context for calling a handler in the test's own process. */
export function listen(signal: AbortSignal = new AbortController().signal): Heard {
  const progressed: Progress[] = [];
  const logged: string[] = [];
  return {
    progressed,
    logged,
    progress: (progress) => void progressed.push(progress),
    log: (level, message) => void logged.push(`${level}: ${message}`),
    data: () => undefined,
    signal,
  };
}
