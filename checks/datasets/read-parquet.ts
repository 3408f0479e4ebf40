import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { type Compressors, parquetReadObjects } from "hyparquet";
import type { ColumnarReader } from "../../agent/datasets/columnar.ts";
import { readFooter, unreadable } from "../../agent/datasets/parquet-footer.ts";
import type { Row } from "../../agent/datasets/shape.ts";

/** Rows taken at once. A page is read whole whatever is asked of it; this bounds the objects made of it. */
const rowsAtOnce = 4096;

/** What Parquet files of the hubs are compressed with, beside snappy, which the reader brings. */
export const compressors: Compressors = {
  GZIP: (input) => gunzipSync(input),
  BROTLI: (input) => brotliDecompressSync(input),
  ZSTD: (input) => zstdDecompressSync(input),
};

/** Checks every row of a Parquet file; memory is that of one row group. Only columns that `wanted` names are read. */
export const readParquet: ColumnarReader = (file, checker, wanted) =>
  readFooter(file, async (source, metadata, there) => {
    checker.columnsAre(there);
    const columns = there.filter((name) => wanted.has(name));
    let first = 0;
    for (const group of metadata.row_groups) {
      const last = first + Number(group.num_rows);
      for (let rowStart = first; rowStart < last; rowStart += rowsAtOnce) {
        const rowEnd = Math.min(rowStart + rowsAtOnce, last);
        const range = { columns, rowStart, rowEnd };
        const rows = await parquetReadObjects({ file: source, metadata, compressors, ...range }).catch(
          (thrown: unknown) => {
            throw unreadable(file, thrown);
          },
        );
        for (const [index, row] of rows.entries()) checker.add(row, `row ${rowStart + index + 1}`);
      }
      first = last;
    }
  });

/** The first row of a Parquet file. Throws Fault `dataset-malformed`. */
export async function firstOfParquet(file: string): Promise<Row | undefined> {
  let row: Row | undefined;
  await readFooter(file, async (source, metadata) => {
    [row] = await parquetReadObjects({ file: source, metadata, compressors, rowStart: 0, rowEnd: 1 });
  });
  return row;
}
