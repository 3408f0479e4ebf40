import { open } from "node:fs/promises";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { parquetMetadataAsync, parquetSchema } from "hyparquet/src/metadata.js";
import { unreadableTable } from "./problems.ts";

/** Opens a Parquet file and reads what its end says of rows and columns. Throws Fault `dataset-malformed`. */
export async function readFooter(
  file: string,
  use: (source: AsyncBuffer, metadata: FileMetaData, columns: readonly string[]) => Promise<void>,
): Promise<void> {
  const handle = await open(file, "r");
  try {
    const source: AsyncBuffer = {
      byteLength: (await handle.stat()).size,
      slice: async (start, end) => {
        const length = (end ?? source.byteLength) - start;
        const bytes = new ArrayBuffer(length);
        await handle.read(new Uint8Array(bytes), 0, length, start);
        return bytes;
      },
    };
    const metadata = await parquetMetadataAsync(source).catch((thrown: unknown) => {
      throw unreadable(file, thrown);
    });
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    await use(source, metadata, columns);
  } finally {
    await handle.close();
  }
}

/** Columns and number of rows of a Parquet file. Throws Fault `dataset-malformed`. */
export async function countParquet(
  file: string,
): Promise<{ readonly columns: readonly string[]; readonly rows: number }> {
  let count = { columns: [] as readonly string[], rows: 0 };
  await readFooter(file, (_source, metadata, columns) => {
    count = { columns, rows: Number(metadata.num_rows) };
    return Promise.resolve();
  });
  return count;
}

/** A Fault for a file that the reader can't read. */
export function unreadable(file: string, thrown: unknown) {
  return unreadableTable("Parquet", file, thrown, "Write it anew, for example with pandas' to_parquet.");
}
