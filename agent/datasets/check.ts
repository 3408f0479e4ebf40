import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { z } from "zod";
import { readRecord, sha256OfFile, writeJson } from "../files.ts";
import { columnarCounters, type ColumnarReaders } from "./columnar.ts";
import { datasetFault, type Problem } from "./problems.ts";
import { readCsv } from "./read-csv.ts";
import { readJsonArray, readJsonLines } from "./read-json.ts";
import { RowChecker, type RowListener } from "./rows.ts";
import { type Shape, shapeOf } from "./shape.ts";

/** What is known of a dataset file that passed. */
export interface CheckedDataset {
  readonly rows: number;
  readonly sha256: string;
  /** Rows that teach what another row of the file teaches as well. */
  readonly duplicates: number;
}

/** What was found in a dataset file, good or bad. */
export interface InspectedDataset extends CheckedDataset {
  readonly problems: readonly Problem[];
  /** Where the first duplicates are. */
  readonly duplicatesAt: readonly string[];
  /** False: the file has more rows than are compared. */
  readonly duplicatesComplete: boolean;
}

/** Bytes. Smaller ones are read before the space has grown. */
const largeFile = 32e6;

const cached = z.object({ stamp: z.string(), rows: z.int(), sha256: z.string(), duplicates: z.int() });

/** How rows are to be read beyond the entry in dataset_info.json. */
export interface ReadOptions {
  /** Rows may be nothing but text (stage pt). */
  readonly plainText?: boolean;
  readonly onRow?: RowListener;
  /** Read Parquet and Arrow. Default: only columns and the number of rows are looked at. */
  readonly columnar?: ColumnarReaders;
}

/**
 * Reads a dataset file as LLaMA-Factory will, by its entry `info` in dataset_info.json (without file_name), and throws a Fault for what
 * LLaMA-Factory would fail at after half a minute, or not at all: file missing or empty, malformed (with the line), not UTF-8, a column
 * lacking or of mixed types, conversations that do not alternate, empty answers, {{name}} and {{author}} left in.
 * `cache`: a folder where the result is kept until path, size, mtime_ns or inode changes.
 */
export async function checkDatasetFile(
  path: string,
  info: Readonly<Record<string, unknown>>,
  cache?: string,
  options: ReadOptions = {},
): Promise<CheckedDataset> {
  const shape = shapeOf(info, options);
  const stamp = await stampOf(path);
  // The 2: what is checked changed.
  const key = createHash("sha256")
    .update(JSON.stringify([2, path, info, options.plainText ?? false, options.columnar !== undefined]))
    .digest("hex")
    .slice(0, 24);
  const memory = cache === undefined ? undefined : join(cache, `${key}.json`);
  const known = memory === undefined ? undefined : await readRecord(memory, cached);
  if (known?.stamp === stamp) return { rows: known.rows, sha256: known.sha256, duplicates: known.duplicates };
  const { checker, sha256 } = await readThrough(path, shape, options);
  const { fault } = checker.problems;
  if (fault !== undefined) throw fault;
  const checked = { rows: checker.rows, sha256, duplicates: checker.duplicates.count };
  // Only a memory, see above.
  if (memory !== undefined) await writeJson(memory, { stamp, ...checked }).catch(() => undefined);
  return checked;
}

/** The same without a verdict: every kind of problem with its first rows. Throws for a file in which no rows can be told apart. */
export async function inspectDatasetFile(
  path: string,
  info: Readonly<Record<string, unknown>>,
  options: ReadOptions = {},
): Promise<InspectedDataset> {
  const shape = shapeOf(info, options);
  await stampOf(path);
  const { checker, sha256 } = await readThrough(path, shape, options);
  const { count, first, complete } = checker.duplicates;
  const found = { duplicates: count, duplicatesAt: first, duplicatesComplete: complete };
  return { rows: checker.rows, sha256, problems: checker.problems.all, ...found };
}

async function stampOf(path: string): Promise<string> {
  let stats;
  try {
    stats = await stat(path, { bigint: true });
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR")
      throw datasetFault(
        "dataset-missing",
        path,
        "there is no such file. Put it there, or correct the path (it is relative to the project folder).",
      );
    throw datasetFault("dataset-unreadable", path, `it can't be read (${code ?? String(thrown)}).`);
  }
  if (!stats.isFile())
    throw datasetFault(
      "dataset-missing",
      path,
      "it is not a file.",
      "Name one .json, .jsonl, .csv, .parquet or .arrow file.",
    );
  if (stats.size === 0n) throw datasetFault("dataset-empty", path, "it is empty.");
  return [stats.size, stats.mtimeNs, stats.ino].join(":");
}

async function readThrough(
  path: string,
  shape: Shape,
  options: ReadOptions,
): Promise<{ readonly checker: RowChecker; readonly sha256: string }> {
  const checker = new RowChecker(path, shape, options.onRow);
  const ending = extname(path).toLowerCase();
  if (ending === ".parquet" || ending === ".arrow") {
    await (options.columnar ?? columnarCounters)[ending](path, checker, new Set(Object.values(shape.columns)));
    checker.finish();
    return { checker, sha256: await sha256OfFile(path) };
  }
  const hash = createHash("sha256");
  if ((await stat(path)).size > largeFile) keepYoungSpaceSmall();
  const chunks = hashed(path, hash);
  // Like the reader that LLaMA-Factory uses: the content decides, not the ending.
  if (ending === ".csv") await readCsv(path, chunks, checker, shape);
  else if (ending === ".json" || ending === ".jsonl") {
    await ((await startsArray(path)) ? readJsonArray : readJsonLines)(path, chunks, checker);
  } else {
    const what = "it must be a .json, .jsonl, .csv, .parquet or .arrow file.";
    throw datasetFault("dataset-format", path, what, "Convert it, for example to JSON lines.");
  }
  checker.finish();
  return { checker, sha256: hash.digest("hex") };
}

/**
 * V8 enlarges the space of what has just been made as long as something survives in it; rows live for a moment only. Measured over 1 GB
 * of JSON lines: a peak of 300 MB with that, of 226 MB without, and no more CPU time.
 */
function keepYoungSpaceSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}

async function* hashed(path: string, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
      hash.update(chunk as Buffer);
      yield chunk as Buffer;
    }
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === undefined) throw thrown;
    throw datasetFault("dataset-unreadable", path, `it can't be read (${message}).`);
  }
}

async function startsArray(path: string): Promise<boolean> {
  const file = await open(path, "r").catch((thrown: unknown) => {
    const { code } = thrown as NodeJS.ErrnoException;
    throw datasetFault("dataset-unreadable", path, `it can't be read (${code ?? "?"}).`);
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    const start = buffer.subarray(0, bytesRead);
    if ((start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff)) {
      throw datasetFault("dataset-encoding", path, "it is UTF-16.", "Save it as UTF-8.");
    }
    const text = start.toString("utf8");
    if (text.startsWith("\uFEFF") && text.slice(1).trimStart().startsWith("[")) {
      const what = "it begins with a byte order mark, which LLaMA-Factory's reader refuses.";
      throw datasetFault("dataset-encoding", path, what, "Save it as UTF-8 without BOM.");
    }
    return text.trimStart().startsWith("[");
  } finally {
    await file.close();
  }
}
