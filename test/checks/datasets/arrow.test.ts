import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import {
  CompressionType,
  compressionRegistry,
  Field,
  Int32,
  List,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Struct,
  Table,
  tableFromArrays,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkDatasetFile, inspectDatasetFile } from "../../../agent/datasets/check.ts";
import { dataFilesAt } from "../../../agent/datasets/locate.ts";
import type { Row } from "../../../agent/datasets/shape.ts";
import { firstLook } from "../../../checks/datasets/first-look.ts";
import { rowReaders } from "../../../checks/datasets/row-readers.ts";
import { Fault } from "../../../recipe/fault.ts";

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "tuneup-arrow-"))));
afterAll(() => rm(folder, { recursive: true }));

const lz4Start = Buffer.from([4, 34, 77, 24, 64, 64, 0]);

const formats = { file: RecordBatchFileWriter, stream: RecordBatchStreamWriter } as const;
type Format = keyof typeof formats;

async function write(name: string, format: Format, tables: readonly Table[], compressionType?: CompressionType) {
  const path = join(folder, name);
  const writer = new formats[format]({
    autoDestroy: true,
    ...(compressionType === undefined ? {} : { compressionType }),
  });
  for (const table of tables) for (const batch of table.batches) writer.write(batch);
  await writeFile(path, writer.finish().toUint8Array(true));
  return path;
}

const texts = (values: readonly string[]) => vectorFromArray(values, new Utf8());

const pairs = (from: number, to: number): Table => {
  const numbers = Array.from({ length: to - from }, (_, index) => from + index);
  return new Table({
    instruction: texts(numbers.map((number) => `问 ${number}`)),
    input: texts(numbers.map(() => "")),
    output: texts(numbers.map((number) => `Answer ${number}.`)),
    length: vectorFromArray(numbers, new Int32()),
  });
};

const text = (name: string) => new Field(name, new Utf8(), true);
const turns = new List(new Field("item", new Struct([text("from"), text("value")]), true));

function chats(rows: readonly (readonly [string, string][])[]): Table {
  const lists = rows.map((row) => row.map(([from, value]) => ({ from, value })));
  return new Table({ conversations: vectorFromArray(lists, turns) });
}

const faultOf = (asked: Promise<unknown>): Promise<Fault> =>
  asked.then(
    () => expect.fail("nothing was refused"),
    (thrown: unknown) => {
      if (!(thrown instanceof Fault)) throw thrown;
      return thrown;
    },
  );

describe.each(["file", "stream"] as const)("the %s format", (format) => {
  it("is read batch after batch, and counted by the agent without its rows", async () => {
    const path = await write(`pairs-${format}.arrow`, format, [pairs(0, 3), pairs(3, 5)]);
    const rows: Row[] = [];
    const found = await inspectDatasetFile(path, {}, { columnar: rowReaders, onRow: (row) => rows.push(row) });
    expect(found).toMatchObject({ rows: 5, problems: [], duplicates: 0 });
    expect(rows[4]).toEqual({ instruction: "问 4", input: "", output: "Answer 4." });
    const counted = await checkDatasetFile(path, {});
    expect(counted).toMatchObject({ rows: 5, sha256: found.sha256 });
  });

  it("is read with turns, as JSON would have them", async () => {
    const good: [string, string][] = [
      ["human", "a"],
      ["gpt", "b"],
    ];
    const path = await write(`chats-${format}.arrow`, format, [chats([good, good.toReversed()])]);
    const fault = await faultOf(
      checkDatasetFile(path, { formatting: "sharegpt" }, undefined, { columnar: rowReaders }),
    );
    expect(fault).toMatchObject({ code: "dataset-messages" });
    expect(fault.message).toContain("row 2");
    const undeclared = await faultOf(firstLook(path, {}));
    expect(undeclared).toMatchObject({ code: "dataset-formatting" });
    await firstLook(path, { formatting: "sharegpt" });
  });

  it("names the row of an empty answer and a column that is not there", async () => {
    const table = tableFromArrays({ instruction: ["a", "b"], input: ["", ""], output: ["c", ""] });
    const path = await write(`empty-${format}.arrow`, format, [table]);
    const read = { columnar: rowReaders };
    expect((await faultOf(checkDatasetFile(path, {}, undefined, read))).message).toContain("row 2");
    const info = { columns: { prompt: "instruction", response: "answer" } };
    for (const options of [read, {}]) {
      expect(await faultOf(checkDatasetFile(path, info, undefined, options))).toMatchObject({ code: "dataset-column" });
    }
  });

  it("never passes with another number of rows where its end is torn off", async () => {
    const whole = await readFile(await write(`whole-${format}.arrow`, format, [pairs(0, 2), pairs(2, 4)]));
    const path = join(folder, `torn-${format}.arrow`);
    const rows = new Set<number>();
    for (let length = 1; length < whole.length; length += 7) {
      await writeFile(path, whole.subarray(0, length));
      for (const options of [{ columnar: rowReaders }, {}]) {
        const result = await checkDatasetFile(path, {}, undefined, options).catch((thrown: unknown) => thrown);
        if (result instanceof Fault) expect(["dataset-malformed", "dataset-empty"]).toContain(result.code);
        else rows.add((result as { rows: number }).rows);
      }
    }
    // A stream may end after any message: one without its last batch is a whole one, to every reader.
    expect([...rows].filter((count) => count !== 2 && count !== 4)).toEqual([]);
    if (format === "file") expect(rows.size).toBe(0);
  });
});

it("reads what zstd compressed, and says of LZ4 that it can't", async () => {
  const { ZSTD, LZ4_FRAME } = CompressionType;
  const read = { columnar: rowReaders };
  const decoder = compressionRegistry.get(ZSTD);
  compressionRegistry.set(ZSTD, { ...decoder, encode: (bytes) => zstdCompressSync(bytes) });
  const zstd = await write("zstd.arrow", "file", [pairs(0, 200)], ZSTD);
  compressionRegistry.set(ZSTD, { ...decoder });
  expect(await checkDatasetFile(zstd, {}, undefined, read)).toMatchObject({ rows: 200 });
  // No LZ4 at all, but nothing looks: there is no codec.
  compressionRegistry.set(LZ4_FRAME, { encode: (bytes) => Buffer.concat([lz4Start, bytes]) });
  const lz4 = await write("lz4.arrow", "file", [pairs(0, 200)], LZ4_FRAME);
  expect(await faultOf(checkDatasetFile(lz4, {}, undefined, read))).toMatchObject({ code: "dataset-format" });
});

it("takes a folder as save_to_disk of the datasets library leaves it", async () => {
  const saved = join(folder, "saved");
  await mkdir(saved);
  const name = "data-00000-of-00001.arrow";
  await copyFile(await write("to-save.arrow", "stream", [pairs(0, 2)]), join(saved, name));
  for (const other of ["dataset_info.json", "state.json"]) await writeFile(join(saved, other), "{}");
  expect(await dataFilesAt(saved)).toEqual([{ path: name, file: join(saved, name) }]);
});
