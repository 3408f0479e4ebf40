import { createHash } from "node:crypto";
import { mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ByteReader, readFrames, watched, writeFrames } from "../../../agent/transfer/frames.ts";
import { bytesHere, storeFrame } from "../../../agent/transfer/store.ts";

let from: string;
let to: string;
beforeEach(async () => {
  from = await mkdtemp(join(tmpdir(), "tuneup-from-"));
  to = await mkdtemp(join(tmpdir(), "tuneup-to-"));
});
afterEach(async () => {
  await rm(from, { recursive: true });
  await rm(to, { recursive: true });
});

const digestOf = (path: string, content: Buffer) => ({
  path,
  bytes: content.length,
  sha256: createHash("sha256").update(content).digest("hex"),
});

/** What `writeFrames` puts on the wire, whole. */
async function wireOf(files: readonly { path: string; bytes: number; sha256: string; offset: number }[]) {
  const wire = new PassThrough();
  const chunks: Buffer[] = [];
  wire.on("data", (chunk: Buffer) => chunks.push(chunk));
  await writeFrames(from, files, wire);
  return Buffer.concat(chunks);
}

/** The bytes in pieces of these sizes, the rest as one. */
async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) return;
    yield await Promise.resolve(bytes.subarray(at, at + size));
    at += size;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

describe("files on a wire", () => {
  it("arrive as they were, in whatever pieces, and wherever it is cut the next try goes on", async () => {
    const content = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(
        fc.array(content, { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 30 }),
        fc.nat(1500),
        async (contents, sizes, cut) => {
          const files = contents.map((bytes, index) => digestOf(`f${index}/data`.replace("/", "-"), bytes));
          for (const [index, file] of files.entries()) await writeFile(join(from, file.path), contents[index] ?? "");
          await rm(to, { recursive: true, force: true });
          for (const limit of [cut, Infinity]) {
            const here = await bytesHere(to, files);
            const wanted = files.flatMap((file, index) =>
              (here[index] ?? 0) < 0 ? [] : [{ ...file, offset: here[index] ?? 0 }],
            );
            const wire = (await wireOf(wanted)).subarray(0, limit);
            for await (const frame of readFrames(new ByteReader(inPieces(wire, sizes)))) {
              const result = await storeFrame(to, frame);
              expect(limit === Infinity ? ["whole"] : ["whole", "torn"]).toContain(result);
            }
          }
          for (const [index, file] of files.entries()) {
            expect((await readFile(join(to, file.path))).equals(contents[index] ?? Buffer.alloc(0))).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("that had all arrived when the wire broke are checked and not sent again", async () => {
    const content = Buffer.from("right");
    const file = digestOf("a", content);
    await writeFile(join(from, "a"), content);
    const tryAgain = async () => {
      const [offset = NaN] = await bytesHere(to, [file]);
      const wire = await wireOf([{ ...file, offset }]);
      const results: string[] = [];
      for await (const frame of readFrames(new ByteReader(inPieces(wire, []))))
        results.push(await storeFrame(to, frame));
      return { offset, results };
    };
    await writeFile(join(to, "a.part"), "wrong");
    expect(await tryAgain()).toEqual({ offset: 5, results: ["wrong"] });
    expect(await tryAgain()).toEqual({ offset: 0, results: ["whole"] });
    await rename(join(to, "a"), join(to, "a.part"));
    expect(await tryAgain()).toEqual({ offset: 5, results: ["whole"] });
    expect(await bytesHere(to, [file])).toEqual([-1]);
  });

  it("keep nothing of what is not as promised, and nothing outside of their folder", async () => {
    const content = Buffer.from("right");
    await writeFile(join(from, "a"), content);
    const lie = { ...digestOf("a", content), sha256: "0".repeat(64), offset: 0 };
    const results: string[] = [];
    for await (const frame of readFrames(new ByteReader(inPieces(await wireOf([lie]), []))))
      results.push(await storeFrame(to, frame));
    expect(results).toEqual(["wrong"]);
    expect(await bytesHere(to, [digestOf("a", content)])).toEqual([0]);
    for (const path of ["../a", "/etc/a", "x/../../a", ""]) {
      await expect(bytesHere(to, [digestOf(path, content)])).rejects.toMatchObject({ code: "path-outside" });
    }
  });

  it("are their owner's alone, programs stay programs", async () => {
    for (const [name, mode] of [
      ["data", 0o644],
      ["program", 0o755],
    ] as const) {
      await writeFile(join(from, name), name, { mode });
    }
    const files = ["data", "program"].map((name) => ({ ...digestOf(name, Buffer.from(name)), offset: 0 }));
    for await (const frame of readFrames(new ByteReader(inPieces(await wireOf(files), []))))
      await storeFrame(to, frame);
    expect((await stat(join(to, "data"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(to, "program"))).mode & 0o777).toBe(0o700);
  });
});

describe("a silent wire", () => {
  afterEach(() => vi.useRealTimers());

  it("is given up while bytes are waited for, and not while those that came are checked", async () => {
    vi.useFakeTimers();
    const wire = new PassThrough();
    const onSilence = vi.fn();
    const chunks = watched(wire, 1000, onSilence);
    const first = chunks.next();
    wire.write("a");
    await first;
    vi.advanceTimersByTime(600_000);
    expect(onSilence).not.toHaveBeenCalled();
    const second = chunks.next();
    vi.advanceTimersByTime(999);
    expect(onSilence).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilence).toHaveBeenCalledOnce();
    wire.end();
    await second;
    vi.advanceTimersByTime(600_000);
    expect(onSilence).toHaveBeenCalledOnce();
  });
});
