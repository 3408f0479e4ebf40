/**
 * Cuts a text that comes in pieces at the first stop string, wherever the pieces break. What could be the beginning
 * of a stop string is held back until it is known.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** What may be shown after this piece, and whether a stop string was met. */
  push(piece: string): { readonly text: string; readonly stopped: boolean } {
    const whole = this.#held + piece;
    const found = this.#stops.map((stop) => whole.indexOf(stop)).filter((index) => index >= 0);
    if (found.length > 0) {
      this.#held = "";
      return { text: whole.slice(0, Math.min(...found)), stopped: true };
    }
    const held = Math.max(0, ...this.#stops.map((stop) => beginningAtEnd(whole, stop)));
    this.#held = whole.slice(whole.length - held);
    return { text: whole.slice(0, whole.length - held), stopped: false };
  }

  /** What was held back when the text ended without a stop string. */
  rest(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** Length of the longest beginning of `stop` (not all of it) that `text` ends with. */
function beginningAtEnd(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
