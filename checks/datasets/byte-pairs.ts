/** What is used of a tokenizer.json with a byte-level BPE model. */
export interface BytePairModel {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
  /** A word that is a token as a whole is taken as it is. */
  readonly ignore_merges?: boolean;
}

/** A word of more bytes is not remembered, and its pairs are looked for in the plain way all the same. */
const longestRemembered = 64;
const mostRemembered = 400_000;
const absent = 0x7fffffff;

/**
 * Counts the tokens of words by byte-level BPE. The same merges in the same order as the tokenizers library, with integers in
 * flat tables instead of texts: it only has to count. Counts of short words are remembered.
 */
export class BytePairs {
  readonly #byteIds = new Int32Array(256).fill(-1);
  /** Open-addressing table of merges: left, right, rank, merged id. */
  #table = new Int32Array(0);
  #mask = 0;
  readonly #whole: ReadonlySet<string>;
  readonly #ignoreMerges: boolean;
  #known = new Map<string, number>();
  #bytes = Buffer.alloc(1024);
  #symbols = new Int32Array(1024);
  #ranks = new Int32Array(1024);

  constructor(model: BytePairModel) {
    const letters = byteLetters();
    for (const [byte, letter] of letters.entries()) this.#byteIds[byte] = model.vocab[letter] ?? -1;
    this.#ignoreMerges = model.ignore_merges === true;
    this.#whole = new Set(this.#ignoreMerges ? Object.keys(model.vocab) : []);
    this.#fill(model);
  }

  #fill({ vocab, merges }: BytePairModel): void {
    const slots = 1 << Math.ceil(Math.log2(merges.length * 2 + 2));
    this.#table = new Int32Array(4 * slots).fill(-1);
    this.#mask = slots - 1;
    for (const [rank, merge] of merges.entries()) {
      const [left = "", right = ""] = typeof merge === "string" ? merge.split(" ") : merge;
      const [a, b, merged] = [vocab[left], vocab[right], vocab[left + right]];
      if (a === undefined || b === undefined || merged === undefined) continue;
      let slot = hashOf(a, b) & this.#mask;
      while (this.#table[4 * slot] !== -1) slot = (slot + 1) & this.#mask;
      this.#table.set([a, b, rank, merged], 4 * slot);
    }
  }

  /** Tokens of one word as the pre-tokenizer cut it. */
  count(word: string): number {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const tokens = this.#countAnew(word);
    if (word.length <= longestRemembered) {
      if (this.#known.size >= mostRemembered) this.#known = new Map();
      // A slice of a row would keep the whole row in memory.
      this.#known.set(Buffer.from(word, "utf16le").toString("utf16le"), tokens);
    }
    return tokens;
  }

  #countAnew(word: string): number {
    if (this.#bytes.length < 3 * word.length) this.#enlarge(3 * word.length);
    const length = this.#bytes.write(word);
    if (this.#ignoreMerges && this.#whole.has(lettersOf(this.#bytes.subarray(0, length)))) return 1;
    const symbols = this.#symbols;
    for (let index = 0; index < length; index += 1) symbols[index] = this.#byteIds[this.#bytes[index] ?? 0] ?? -1;
    return this.#merge(length);
  }

  /** Merges the pair of the lowest rank, the leftmost first, until none is left. Returns how many symbols are left. */
  #merge(length: number): number {
    const [symbols, ranks] = [this.#symbols, this.#ranks];
    let count = length;
    for (let index = 0; index + 1 < count; index += 1)
      ranks[index] = this.#rank(symbols[index] ?? -1, symbols[index + 1] ?? -1);
    for (;;) {
      let best = absent;
      let at = -1;
      for (let index = 0; index + 1 < count; index += 1) {
        const rank = ranks[index] ?? absent;
        if (rank < best) {
          best = rank;
          at = index;
        }
      }
      if (at < 0) return count;
      symbols[at] = this.#merged(symbols[at] ?? -1, symbols[at + 1] ?? -1);
      symbols.copyWithin(at + 1, at + 2, count);
      ranks.copyWithin(at + 1, at + 2, count - 1);
      count -= 1;
      if (at > 0) ranks[at - 1] = this.#rank(symbols[at - 1] ?? -1, symbols[at] ?? -1);
      ranks[at] = at + 1 < count ? this.#rank(symbols[at] ?? -1, symbols[at + 1] ?? -1) : absent;
    }
  }

  #rank(left: number, right: number): number {
    const slot = this.#slot(left, right);
    return slot < 0 ? absent : (this.#table[slot + 2] ?? absent);
  }

  #merged(left: number, right: number): number {
    return this.#table[this.#slot(left, right) + 3] ?? -1;
  }

  #slot(left: number, right: number): number {
    const table = this.#table;
    for (let slot = hashOf(left, right) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (table[4 * slot] === left && table[4 * slot + 1] === right) return 4 * slot;
      if (table[4 * slot] === -1) return -1;
    }
  }

  #enlarge(bytes: number): void {
    this.#bytes = Buffer.alloc(2 * bytes);
    this.#symbols = new Int32Array(2 * bytes);
    this.#ranks = new Int32Array(2 * bytes);
  }
}

function hashOf(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right + 1, 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** The letter that stands for each byte in byte-level vocabularies: printable ones for themselves, the others from U+0100 on. */
function byteLetters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}

const letters = byteLetters();

function lettersOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += letters[byte] ?? "";
  return text;
}
