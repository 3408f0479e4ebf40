/** How many rows have which number of tokens: index is the length, the last counts all that are longer. */
export class LengthCounts {
  #counts = new Uint32Array(4096);
  /** Longest length counted exactly. */
  static readonly longest = 262_143;
  rows = 0;
  tokens = 0;
  /** Tokens of the longest row. */
  longest = 0;

  /** One row of `length` tokens. */
  add(length: number): void {
    const index = Math.min(length, LengthCounts.longest);
    if (index >= this.#counts.length) {
      const larger = new Uint32Array(Math.min(LengthCounts.longest + 1, 2 ** Math.ceil(Math.log2(index + 1))));
      larger.set(this.#counts);
      this.#counts = larger;
    }
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.rows += 1;
    this.tokens += length;
    this.longest = Math.max(this.longest, length);
  }

  /** The rows of another file on top. */
  addAll(other: LengthCounts): void {
    for (const [length, rows] of other.entries()) for (let row = 0; row < rows; row += 1) this.add(length);
  }

  /** Lengths that occur, with the number of rows, shortest first. */
  *entries(): Generator<readonly [length: number, rows: number]> {
    for (let length = 0; length < this.#counts.length; length += 1) {
      const rows = this.#counts[length] ?? 0;
      if (rows > 0) yield [length, rows];
    }
  }

  /** The length that `share` (0..1) of the rows do not exceed. */
  quantile(share: number): number {
    let seen = 0;
    for (const [length, rows] of this.entries()) {
      seen += rows;
      if (seen >= share * this.rows) return length;
    }
    return this.longest;
  }

  /** Rows longer than `limit`, and the tokens that are left of all rows when they are cut there. */
  cutAt(limit: number): { readonly truncated: number; readonly tokens: number } {
    let truncated = 0;
    let tokens = 0;
    for (const [length, rows] of this.entries()) {
      if (length > limit) truncated += rows;
      tokens += rows * Math.min(length, limit);
    }
    return { truncated, tokens };
  }
}

/** LLaMA-Factory's arguments that decide how many rows and steps there are. */
export interface Schedule {
  readonly batch: number;
  readonly accumulation: number;
  readonly gpus: number;
  readonly epochs: number;
  /** `max_steps`: above 0 it decides alone. */
  readonly maxSteps: number;
  /** `val_size`: below 1 a share, from 1 on rows. */
  readonly valSize: number;
  /** `max_samples`: the first rows of each dataset. */
  readonly maxSamples: number | undefined;
  readonly mixStrategy: string;
  readonly interleaveProbs: readonly number[] | undefined;
}

/** Reads a schedule from LLaMA-Factory's arguments; what is not said has LLaMA-Factory's default. */
export function scheduleOf(train: Readonly<Record<string, unknown>>, gpus = 1): Schedule {
  const number = (key: string, otherwise: number): number => {
    const value = train[key];
    return typeof value === "number" ? value : otherwise;
  };
  const probs = train["interleave_probs"];
  const list = typeof probs === "string" ? probs.split(",").map(Number) : Array.isArray(probs) ? probs.map(Number) : [];
  return {
    batch: number("per_device_train_batch_size", 8),
    accumulation: number("gradient_accumulation_steps", 1),
    gpus,
    epochs: number("num_train_epochs", 3),
    maxSteps: number("max_steps", -1),
    valSize: number("val_size", 0),
    maxSamples: typeof train["max_samples"] === "number" ? train["max_samples"] : undefined,
    mixStrategy: typeof train["mix_strategy"] === "string" ? train["mix_strategy"] : "concat",
    interleaveProbs: list.length > 0 ? list : undefined,
  };
}

/** Rows of the mix of datasets of these sizes (each already cut to max_samples); exact for concat, an expectation for interleaving. */
export function mixedRows(sizes: readonly number[], { mixStrategy, interleaveProbs }: Schedule): number {
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sizes.length < 2 || !mixStrategy.startsWith("interleave")) return sum;
  if (mixStrategy === "interleave_once") return sum;
  const share = (index: number): number => interleaveProbs?.[index] ?? 1 / sizes.length;
  const until = sizes.map((size, index) => (share(index) > 0 ? size / share(index) : Infinity));
  return Math.round(
    mixStrategy === "interleave_over" ? Math.max(...until.filter(Number.isFinite)) : Math.min(...until),
  );
}

/** How many rows train and evaluate, and in how many optimizer steps. */
export interface Steps {
  readonly trainRows: number;
  readonly evalRows: number;
  readonly perEpoch: number;
  readonly total: number;
}

/** As transformers' Trainer counts: a last incomplete batch and a last incomplete accumulation are steps as well. */
export function stepsOf(rows: number, schedule: Schedule): Steps {
  const { valSize } = schedule;
  const evalRows = valSize <= 1e-6 ? 0 : Math.min(rows, valSize >= 1 ? Math.trunc(valSize) : Math.ceil(valSize * rows));
  const trainRows = rows - evalRows;
  const perEpoch = stepsPerEpoch(trainRows, schedule);
  const total = schedule.maxSteps > 0 ? schedule.maxSteps : Math.ceil(schedule.epochs * perEpoch);
  return { trainRows, evalRows, perEpoch, total };
}

function stepsPerEpoch(rows: number, { batch, accumulation, gpus }: Schedule): number {
  return Math.max(Math.ceil(Math.ceil(rows / (batch * gpus)) / accumulation), 1);
}

/** What `packing: true` would make of the rows. */
export interface Packing {
  /** Sequences of cutoff_len tokens. */
  readonly sequences: number;
  /** Share of their tokens that are not padding. */
  readonly filled: number;
  /** Rows for each sequence, on average. */
  readonly rowsEach: number;
}

/**
 * LLaMA-Factory's packing: the longest row that still fits goes next into a sequence of cutoff_len. It packs 1000 rows at a time; all are taken
 * together here, which fills slightly better.
 */
export function packingOf(lengths: LengthCounts, cutoff: number): Packing {
  const left = new Map<number, number>();
  for (const [length, rows] of lengths.entries()) {
    const cut = Math.min(Math.max(length, 1), cutoff);
    left.set(cut, (left.get(cut) ?? 0) + rows);
  }
  const sorted = [...left.keys()].sort((a, b) => b - a);
  let sequences = 0;
  let first = 0;
  while (first < sorted.length) {
    // The same filling over and over until one of its lengths runs out: a million rows are a few thousand rounds.
    const taken = fill(sorted, left, first, cutoff);
    let times = Infinity;
    for (const [length, count] of taken) times = Math.min(times, Math.floor((left.get(length) ?? 0) / count));
    for (const [length, count] of taken) left.set(length, (left.get(length) ?? 0) - count * times);
    sequences += times;
    while (first < sorted.length && left.get(sorted[first] ?? 0) === 0) first += 1;
  }
  const { tokens } = lengths.cutAt(cutoff);
  const filled = sequences === 0 ? 0 : tokens / (sequences * cutoff);
  return { sequences, filled, rowsEach: sequences === 0 ? 0 : lengths.rows / sequences };
}

function fill(
  sorted: readonly number[],
  left: ReadonlyMap<number, number>,
  first: number,
  cutoff: number,
): Map<number, number> {
  const taken = new Map<number, number>();
  let room = cutoff;
  for (let index = first; index < sorted.length && room > 0; index += 1) {
    const length = sorted[index] ?? 0;
    const count = Math.min(Math.floor(room / length), left.get(length) ?? 0);
    if (count === 0) continue;
    taken.set(length, count);
    room -= count * length;
  }
  return taken;
}

/** A bar of a histogram: rows of `from` to `to` tokens, both included. */
export interface Bar {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** The lengths in at most `bars` bars of a round width; the last one holds all that is longer than 99.5 % of the rows and the cutoff. */
export function histogramOf(lengths: LengthCounts, cutoff: number, bars = 40): Bar[] {
  const end = Math.max(lengths.quantile(0.995), Math.min(cutoff, lengths.longest), 1);
  const rough = end / bars;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const width = Math.ceil(([1, 2, 5, 10].find((step) => step * power >= rough) ?? 10) * power);
  const count = Math.floor(end / width) + 1;
  const rows = new Array<number>(count).fill(0);
  for (const [length, number] of lengths.entries()) {
    const index = Math.min(Math.floor(length / width), count - 1);
    rows[index] = (rows[index] ?? 0) + number;
  }
  return rows.map((number, index) => ({
    from: index * width,
    to: index === count - 1 ? Math.max(lengths.longest, (index + 1) * width - 1) : (index + 1) * width - 1,
    rows: number,
  }));
}
