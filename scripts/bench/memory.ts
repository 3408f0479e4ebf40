import { readdirSync, readFileSync } from "node:fs";

const everyMs = 500;

/** Follows the memory of every process that works for the data directory `home`, this one and its ancestors aside; Linux only (0 elsewhere). */
export class MemoryPeak {
  readonly #home: string;
  readonly #measuring = new Set(selfAndAncestors());
  readonly #timer: NodeJS.Timeout;
  #peak = 0;

  constructor(home: string) {
    this.#home = home;
    this.#timer = setInterval(() => {
      this.#peak = Math.max(this.#peak, proportionalBytes(this.#home, this.#measuring));
    }, everyMs);
  }

  /** Ends it. The peak in bytes: proportional set sizes (shared pages are split among their users), added up. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#peak;
  }
}

/** Our processes are known by their environment: TUNEUP_HOME goes to all of them. */
function proportionalBytes(home: string, without: ReadonlySet<string>): number {
  return pids()
    .filter((pid) => !without.has(pid))
    .map((pid) => {
      if (!read(`/proc/${pid}/environ`).includes(`TUNEUP_HOME=${home}\0`)) return 0;
      return Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}

function selfAndAncestors(): string[] {
  const found: string[] = [];
  for (let pid = String(process.pid); pid !== "0" && pid !== "";) {
    found.push(pid);
    pid = /^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? "";
  }
  return found;
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
