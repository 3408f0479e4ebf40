import type { RunStatus } from "../../recipe/lifecycle.ts";
import { runProgress } from "../../recipe/run-progress.ts";

/** A Pod's log is kept by the cluster, and read whole by people. */
const leastInterval = 10_000;

/** Says on stdout what becomes of a run: a new state at once, what happens in it in a line each 10 s at most. */
export class PodLog {
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  #said = "";
  #state = "";
  #saidAt = -Infinity;

  constructor(
    write: (line: string) => void = (line) => console.log(line),
    now: () => number = () => performance.now(),
  ) {
    this.#write = write;
    this.#now = now;
  }

  /** Takes in the status as it is now. */
  readonly take = (status: RunStatus): void => {
    const { message } = runProgress(status);
    const due = status.state !== this.#state || this.#now() - this.#saidAt >= leastInterval;
    if (!due || message === this.#said) return;
    this.#state = status.state;
    this.#saidAt = this.#now();
    this.#said = message;
    this.say(message);
  };

  /** One line, with the time before it. */
  say(message: string): void {
    this.#write(`${new Date().toISOString()} ${message}`);
  }
}
