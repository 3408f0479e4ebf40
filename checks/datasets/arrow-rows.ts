import type { FileHandle } from "node:fs/promises";
import { zstdDecompressSync } from "node:zlib";
import { CompressionType, compressionRegistry, MapRow, RecordBatchReader, StructRow, Vector } from "apache-arrow";
import type { RecordBatch } from "apache-arrow";
import type { Row } from "../../agent/datasets/shape.ts";

compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => zstdDecompressSync(bytes) });

/** The rows of an open Arrow file, batch after batch, as JSON would have them. `wanted`: the columns that are read. Default: all. */
export async function* arrowRows(handle: FileHandle, wanted?: ReadonlySet<string>): AsyncGenerator<Row> {
  const reader = await (await RecordBatchReader.from(handle)).open();
  for await (const batch of reader) yield* rowsOf(batch, wanted);
}

function* rowsOf(batch: RecordBatch, wanted: ReadonlySet<string> | undefined): Generator<Row> {
  const columns = batch.schema.fields.flatMap(({ name }, index) => {
    const column = wanted?.has(name) === false ? null : batch.getChildAt(index);
    return column === null ? [] : [{ name, column }];
  });
  for (let index = 0; index < batch.numRows; index += 1) {
    yield Object.fromEntries(columns.map(({ name, column }) => [name, plain(column.get(index))]));
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Vector) return Array.from(value as Iterable<unknown>, plain);
  if (!(value instanceof StructRow) && !(value instanceof MapRow)) return value;
  const fields = Array.from(value as Iterable<[string, unknown]>);
  return Object.fromEntries(fields.map(([name, inner]) => [name, plain(inner)]));
}
