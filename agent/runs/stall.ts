import { bytesBelow, sizeOf } from "../files.ts";
import type { Pace } from "./pace.ts";
import type { RunPaths } from "./paths.ts";
import type { TrainerReport } from "./reports.ts";

/** A trainer may be silent for this many of its steps. */
const patientSteps = 10;

/** Where no step is to be waited for, or none is known yet: a model loads, the first step compiles kernels, a result is written. */
const patientOtherwise = 6;

/** Where a trainer writes. */
type Files = Pick<RunPaths, "output" | "cache" | "log">;

/** While it is silent, the growth of its files is looked at this often within its patience. */
const looks = 10;

/**
 * Watches a trainer for one that makes no progress, by the monotonic clock: between its first step and its result one that is silent for ten
 * times the median step, `least` milliseconds at least; while it loads, or writes the result, for six times `least`. What it writes
 * meanwhile is progress too: a large checkpoint, a dataset in the cache, a line in the log.
 */
export class StallWatch {
  readonly #least: number;
  readonly #pace: Pace;
  readonly #files: Files;
  readonly #now: () => number;
  #stepping = false;
  #heardAt: number;
  #lookAt = 0;
  #bytes: number | undefined;

  constructor(least: number, pace: Pace, files: Files, now: () => number = () => performance.now()) {
    this.#least = least;
    this.#pace = pace;
    this.#files = files;
    this.#now = now;
    this.#heardAt = now();
  }

  /** It said something. */
  heard(report: TrainerReport): void {
    if (report.kind === "begin") this.#stepping = true;
    if (report.kind === "phase" && report.phase === "saving") this.#stepping = false;
    this.started();
  }

  /** It was just started: what came before is none of its silence. */
  started(): void {
    this.#heardAt = this.#now();
    this.#lookAt = 0;
    this.#bytes = undefined;
  }

  /** Seconds of silence that are too many; undefined as long as all is well. */
  async tooLong(): Promise<number | undefined> {
    const now = this.#now();
    const patience = this.#patience;
    if (now < Math.max(this.#heardAt + patience, this.#lookAt)) return undefined;
    const bytes = await this.#written();
    if (bytes === this.#bytes) return Math.round((now - this.#heardAt) / 1000);
    this.#bytes = bytes;
    this.#lookAt = now + patience / looks;
    return undefined;
  }

  async #written(): Promise<number> {
    const { output, cache, log } = this.#files;
    return (await bytesBelow(output)) + (await bytesBelow(cache)) + (await sizeOf(log));
  }

  get #patience(): number {
    const { median } = this.#pace;
    if (!this.#stepping || median === undefined) return patientOtherwise * this.#least;
    return Math.max(this.#least, patientSteps * median);
  }
}
