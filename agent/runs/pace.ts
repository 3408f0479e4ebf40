/** Steps that the estimate looks back on: enough for a calm median, few enough to follow a change of pace. */
const lookBack = 30;

/** A step that takes this many times the median did something else as well, such as saving a checkpoint. */
const outlier = 3;

/** `step` steps and `tokens` tokens were done `at` that time (milliseconds of any clock that does not jump). */
export interface PaceSample {
  readonly step: number;
  readonly tokens: number;
  readonly at: number;
}

/** How fast an attempt is, from the trainer's own times, so that reading them late changes nothing. */
export class Pace {
  #samples: PaceSample[] = [];
  #warm = false;

  /** An attempt begins; what was known of another one is forgotten. */
  begin(sample: PaceSample): void {
    this.#samples = [sample];
    this.#warm = false;
  }

  add(sample: PaceSample): void {
    this.#samples.push(sample);
    const coldStart = !this.#warm && this.#samples.length === 3;
    // The first step of an attempt warms up and is slower: it counts only until there is another to go by.
    if (coldStart || this.#samples.length > lookBack + 1) this.#samples.shift();
    this.#warm ||= coldStart;
  }

  /**
   * Seconds for `steps` more steps: as many times the mean of the recent ones, without those that took `outlier` times their
   * median. The median alone is too low where the rows differ in length (measured: 7 % on 42 steps). Undefined before the
   * first step.
   */
  secondsFor(steps: number): number | undefined {
    const [each, median] = [this.#each(), this.median];
    if (median === undefined) return undefined;
    const usual = each.filter((milliseconds) => milliseconds <= outlier * median);
    return (steps * usual.reduce((sum, milliseconds) => sum + milliseconds, 0)) / usual.length / 1000;
  }

  /** Milliseconds that half of the recent steps took at most. Undefined before the first step. */
  get median(): number | undefined {
    const each = this.#each().sort((a, b) => a - b);
    if (each.length === 0) return undefined;
    return ((each[(each.length - 1) >> 1] ?? 0) + (each[each.length >> 1] ?? 0)) / 2;
  }

  /** Milliseconds of each recent step. */
  #each(): number[] {
    return this.#samples
      .slice(1)
      .map((sample, index) => ({ before: this.#samples[index] ?? sample, sample }))
      .filter(({ before, sample }) => sample.step > before.step)
      .map(({ before, sample }) => (sample.at - before.at) / (sample.step - before.step));
  }

  /** Tokens a second over the recent steps. Undefined before the first step. */
  get tokensPerSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at <= first.at || last.tokens <= first.tokens) {
      return undefined;
    }
    return (1000 * (last.tokens - first.tokens)) / (last.at - first.at);
  }
}
