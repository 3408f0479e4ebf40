import { stat } from "node:fs/promises";
import { isLocked } from "../lock.ts";
import { tokenOf } from "./fence.ts";
import type { RunPaths } from "./paths.ts";
import type { Timing } from "./timing.ts";

/** What changes as long as a supervisor lives: its token and the time of its file. Only whether it changes is looked at. */
export async function signOfLife(paths: RunPaths): Promise<string> {
  const stats = await stat(paths.supervisorPid).catch(() => undefined);
  return `${await tokenOf(paths)} ${stats?.ino ?? 0} ${stats?.mtimeMs ?? 0}`;
}

/**
 * Watches the supervisor of a run. The time of its file is never compared with a clock, so that a clock that jumps changes nothing;
 * and a pause of ours counts as one beat at most, so that a machine that slept is not taken for a dead supervisor.
 */
export class HeartbeatWatch {
  readonly #paths: RunPaths;
  readonly #timing: Pick<Timing, "beat" | "stale">;
  readonly #now: () => number;
  #sign = "";
  #lookedAt = 0;
  #silent = 0;

  constructor(paths: RunPaths, timing: Pick<Timing, "beat" | "stale">, now: () => number = () => performance.now()) {
    this.#paths = paths;
    this.#timing = timing;
    this.#now = now;
  }

  /** The sign that did not change for `stale`, while somebody holds the run's lock; undefined otherwise. */
  async look(): Promise<string | undefined> {
    const sign = await signOfLife(this.#paths);
    const now = this.#now();
    const passed = Math.min(now - this.#lookedAt, this.#timing.beat);
    // A supervisor that was only started, and has no lock yet, owes nobody a sign.
    const held = isLocked(this.#paths.lock);
    this.#silent = held && sign === this.#sign ? this.#silent + passed : 0;
    this.#sign = sign;
    this.#lookedAt = now;
    return held && this.#silent >= this.#timing.stale ? sign : undefined;
  }
}
