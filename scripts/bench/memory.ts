import { readdirSync, readFileSync } from "node:fs";

const everyMs = 500;

/** Follows the memory of every process that works for the data directory `home`; Linux only (0 elsewhere). */
export class MemoryPeak {
  readonly #home: string;
  readonly #timer: NodeJS.Timeout;
  #peak = 0;

  constructor(home: string) {
    this.#home = home;
    this.#timer = setInterval(() => {
      this.#peak = Math.max(this.#peak, proportionalBytes(this.#home));
    }, everyMs);
  }

  /** Ends it. The peak in bytes: proportional set sizes (shared pages are split among their users), added up. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#peak;
  }
}

/** Our processes are known by their environment: TUNEUP_HOME goes to all of them. */
function proportionalBytes(home: string): number {
  return pids()
    .map((pid) => {
      if (!read(`/proc/${pid}/environ`).includes(`TUNEUP_HOME=${home}\0`)) return 0;
      return Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}

function pids(): string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** A process may end while it is looked at. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
