import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { once } from "node:events";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";

/** What goes before a file's bytes on the wire: one line of JSON. */
export const frameHead = z.object({
  /** Relative to the folder of the freight. */
  path: z.string(),
  /** Size of the whole file. */
  bytes: z.int().min(0),
  sha256: z.string(),
  /** The bytes that follow begin here: the receiver has the ones before. */
  offset: z.int().min(0),
  executable: z.boolean().optional(),
});
export type FrameHead = z.infer<typeof frameHead>;

/** A file as it arrives. `body` must be read to its end before the next one is asked for. */
export interface Frame {
  readonly head: FrameHead;
  readonly body: AsyncIterable<Buffer>;
}

/** Passes chunks on. `onSilence` is called where one that is waited for does not come in time; the time that its taker needs does not count. */
export async function* watched(
  chunks: AsyncIterable<Buffer>,
  patienceMs: number,
  onSilence: () => void,
): AsyncGenerator<Buffer> {
  let watch = setTimeout(onSilence, patienceMs);
  try {
    for await (const chunk of chunks) {
      clearTimeout(watch);
      yield chunk;
      watch = setTimeout(onSilence, patienceMs);
    }
  } finally {
    clearTimeout(watch);
  }
}

/** Takes lines and runs of bytes from a stream. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next line without its end; undefined where the stream ended before one was whole. */
  async line(): Promise<string | undefined> {
    const parts: Buffer[] = [];
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        parts.push(this.#rest.subarray(0, end));
        this.#rest = this.#rest.subarray(end + 1);
        return Buffer.concat(parts).toString("utf8");
      }
      parts.push(this.#rest);
      if (!(await this.#more())) return undefined;
    }
  }

  /** The next `count` bytes as they come; ends early where the stream does. */
  async *take(count: number): AsyncGenerator<Buffer> {
    let left = count;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) return;
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    this.#rest = next.done === true ? Buffer.alloc(0) : next.value;
    return next.done !== true;
  }
}

/** The files on the wire, until it ends; a head that is cut off is no file. */
export async function* readFrames(reader: ByteReader): AsyncGenerator<Frame> {
  for (;;) {
    const line = await reader.line();
    if (line === undefined) return;
    if (line === "") continue;
    const head = frameHead.parse(JSON.parse(line));
    yield { head, body: reader.take(head.bytes - head.offset) };
  }
}

/** A file that is to be sent, from `offset` on. */
export type Sending = Pick<FrameHead, "path" | "bytes" | "sha256" | "offset">;

/** Writes files of `folder` to the wire. `onBytes` hears how many went out since the last time. Throws Fault `file-missing`, `file-unreadable`, `file-changed`. */
export async function writeFrames(
  folder: string,
  files: readonly Sending[],
  wire: Writable,
  onBytes: (count: number) => void = () => undefined,
): Promise<void> {
  for (const { path, bytes, sha256, offset } of files) {
    const whole = join(folder, path);
    const { mode } = await stat(whole).catch((thrown: unknown) => {
      throw unreadable(whole, thrown);
    });
    const executable = (mode & 0o100) !== 0;
    await write(wire, `${JSON.stringify({ path, bytes, sha256, offset, ...(executable ? { executable } : {}) })}\n`);
    for await (const chunk of bytesOf(whole, offset, bytes)) {
      await write(wire, chunk);
      onBytes(chunk.length);
    }
  }
}

/** The file's bytes between these places. No more than was promised, also where somebody appends meanwhile. */
async function* bytesOf(path: string, start: number, end: number): AsyncGenerator<Buffer> {
  let left = end - start;
  if (left <= 0) return;
  const body = createReadStream(path, { start, end: end - 1, highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>;
  try {
    for await (const chunk of body) {
      left -= chunk.length;
      yield chunk;
    }
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
  if (left === 0) return;
  throw new Fault({
    code: "file-changed",
    message: `${path} has ${end - left} bytes instead of ${end}.`,
    next: "Something wrote it while it was sent. Run it again.",
    blame: "infrastructure",
  });
}

function unreadable(path: string, thrown: unknown): Fault {
  const { code, message } = thrown as NodeJS.ErrnoException;
  const isGone = code === "ENOENT";
  return new Fault({
    code: isGone ? "file-missing" : "file-unreadable",
    message: isGone ? `${path} is not there any more.` : `${path} can't be read: ${message}.`,
    next: isGone ? "`npx tuneup up` makes it again." : "Look at the disk that it lies on, then run it again.",
    blame: "infrastructure",
  });
}

async function write(wire: Writable, chunk: string | Buffer): Promise<void> {
  if (wire.destroyed || wire.errored !== null) throw wire.errored ?? new Error("The wire is closed.");
  if (wire.write(chunk)) return;
  const ended = new AbortController();
  const over = async (name: string): Promise<unknown> =>
    once(wire, name, { signal: ended.signal }).catch((): undefined => undefined);
  try {
    // A wire that closes never drains.
    await Promise.race([over("drain"), over("close")]);
  } finally {
    ended.abort();
  }
}
