import { type FileHandle, open, stat } from "node:fs/promises";
import { isMissing } from "../files.ts";

const newline = 10;
const chunkBytes = 65_536;

/**
 * Reads the lines that are appended to a file, over its truncation and its replacement by another of the same name
 * (log rotation). The file may be missing at first.
 */
export class LineReader {
  readonly #path: string;
  #offset: number;
  #file: FileHandle | undefined;
  #rest = Buffer.alloc(0);

  /** `offset`: where to begin in the file that is there now, in bytes. */
  constructor(path: string, offset = 0) {
    this.#path = path;
    this.#offset = offset;
  }

  /** The whole lines that were appended since the last call. */
  async read(): Promise<string[]> {
    const lines = await this.#readOpen();
    if (!(await this.#replaced())) return lines;
    await this.#file?.close();
    this.#file = await open(this.#path, "r").catch((thrown: unknown) => {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    });
    return [...lines, ...(await this.#readOpen())];
  }

  /** Bytes of the file up to the last line end that was read. */
  get position(): number {
    return this.#offset - this.#rest.length;
  }

  /** What follows the last line end so far. */
  get unfinished(): string {
    return this.#rest.toString("utf8");
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Is another file at the path than the one we read? Begins again at its start if so. */
  async #replaced(): Promise<boolean> {
    const there = await stat(this.#path).catch((thrown: unknown) => {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    });
    if (there === undefined) return false;
    if (this.#file === undefined) return true;
    const ours = await this.#file.stat();
    if (ours.ino === there.ino && ours.dev === there.dev) return false;
    this.#offset = 0;
    return true;
  }

  async #readOpen(): Promise<string[]> {
    const file = this.#file;
    if (file === undefined) return [];
    if ((await file.stat()).size < this.#offset) {
      this.#offset = 0;
      this.#rest = Buffer.alloc(0);
    }
    const parts = [this.#rest];
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, this.#offset);
      if (bytesRead === 0) break;
      this.#offset += bytesRead;
      parts.push(buffer.subarray(0, bytesRead));
    }
    const whole = Buffer.concat(parts);
    const end = whole.lastIndexOf(newline) + 1;
    this.#rest = whole.subarray(end);
    return end === 0
      ? []
      : whole
          .subarray(0, end - 1)
          .toString("utf8")
          .split("\n");
  }
}
