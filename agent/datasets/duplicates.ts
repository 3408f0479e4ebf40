import { hash } from "node:crypto";

const firstSlots = 1 << 16;
/** 64 MB of hashes at most: a file of any size is looked through in bounded memory. */
const mostSlots = 1 << 23;

/**
 * Counts rows that were seen before, by 64 bits of a hash of what they teach. Memory: 8 bytes a row and as much again while the
 * table grows, 64 MB at most; rows beyond the 6.2 million that fit are only looked up.
 */
export class Duplicates {
  #table = new Uint32Array(2 * firstSlots);
  #held = 0;
  /** Rows that were there before. */
  count = 0;
  /** Where the first of them are. */
  readonly first: string[] = [];
  /** False once rows were left out of the table. */
  complete = true;

  /** `key`: the texts of the row. */
  add(key: string, where: () => string): void {
    // As a string of bytes: a Buffer takes as long as the hash itself.
    const digest = hash("sha1", key, "binary");
    const low = wordAt(digest, 0);
    // A high word of 0 is an empty slot.
    const high = wordAt(digest, 4) | 1;
    const slots = this.#table.length / 2;
    if (this.#held > slots * 0.75 && slots < mostSlots) this.#grow();
    const slot = this.#find(low, high >>> 0);
    if (this.#table[slot + 1] !== 0) {
      this.count += 1;
      if (this.first.length < 3) this.first.push(where());
    } else if (this.#held < mostSlots * 0.75) {
      this.#table[slot] = low;
      this.#table[slot + 1] = high;
      this.#held += 1;
    } else this.complete = false;
  }

  /** The slot that holds the hash, or the empty one where it belongs. */
  #find(low: number, high: number): number {
    const table = this.#table;
    const mask = table.length / 2 - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      if (table[2 * slot + 1] === 0 || (table[2 * slot] === low && table[2 * slot + 1] === high)) return 2 * slot;
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(2 * old.length);
    for (let slot = 0; slot < old.length; slot += 2) {
      const [low = 0, high = 0] = [old[slot], old[slot + 1]];
      if (high === 0) continue;
      const target = this.#find(low, high);
      this.#table[target] = low;
      this.#table[target + 1] = high;
    }
  }
}

function wordAt(bytes: string, at: number): number {
  const word = bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8) | (bytes.charCodeAt(at + 2) << 16);
  return (word | (bytes.charCodeAt(at + 3) << 24)) >>> 0;
}
