import { bytesBelow } from "../files.ts";
import type { Pace } from "./pace.ts";
import type { TrainerReport } from "./reports.ts";

/** A trainer may be silent for this many of its steps. */
const patientSteps = 10;

/** No step is known yet: the first one may compile kernels. */
const patientAtFirst = 6;

/** While it is silent, the growth of its output is looked at this often within its patience. */
const looks = 10;

/**
 * Watches a trainer between its first step and its result for one that makes no progress: silent for ten times the median step,
 * `least` milliseconds at least, by the monotonic clock. What it writes meanwhile, a large checkpoint for one, is progress too.
 */
export class StallWatch {
  readonly #least: number;
  readonly #pace: Pace;
  readonly #output: string;
  readonly #now: () => number;
  #stepping = false;
  #heardAt = 0;
  #lookAt = 0;
  #bytes: number | undefined;

  constructor(least: number, pace: Pace, output: string, now: () => number = () => performance.now()) {
    this.#least = least;
    this.#pace = pace;
    this.#output = output;
    this.#now = now;
  }

  /** It said something. */
  heard(report: TrainerReport): void {
    if (report.kind === "begin") this.#stepping = true;
    if (report.kind === "phase" && report.phase === "saving") this.#stepping = false;
    this.#heardAt = this.#now();
    this.#lookAt = 0;
    this.#bytes = undefined;
  }

  /** Seconds of silence that are too many; undefined as long as all is well. */
  async tooLong(): Promise<number | undefined> {
    const now = this.#now();
    const patience = this.#patience;
    if (!this.#stepping || now < Math.max(this.#heardAt + patience, this.#lookAt)) return undefined;
    const bytes = await bytesBelow(this.#output);
    if (bytes === this.#bytes) return Math.round((now - this.#heardAt) / 1000);
    this.#bytes = bytes;
    this.#lookAt = now + patience / looks;
    return undefined;
  }

  get #patience(): number {
    const { median } = this.#pace;
    return median === undefined ? patientAtFirst * this.#least : Math.max(this.#least, patientSteps * median);
  }
}
