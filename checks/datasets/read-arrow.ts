import { open } from "node:fs/promises";
import { countArrow, unreadableArrow } from "../../agent/datasets/arrow-messages.ts";
import type { ColumnarReader } from "../../agent/datasets/columnar.ts";
import { datasetFault } from "../../agent/datasets/problems.ts";
import type { Row } from "../../agent/datasets/shape.ts";

/**
 * Checks every row of an Arrow file, in the file or the stream format; memory is that of one record batch. Only columns that `wanted`
 * names are read.
 */
export const readArrow: ColumnarReader = async (file, checker, wanted) => {
  const { columns, rows } = await countArrow(file);
  checker.columnsAre(columns);
  let read = 0;
  for await (const row of rowsOfArrow(file, wanted)) {
    read += 1;
    checker.add(row, `row ${read}`);
  }
  if (read !== rows) throw unreadableArrow(file, `${read} of its ${rows} rows are found`);
};

/** The first row of an Arrow file. Throws Fault `dataset-malformed` or `dataset-format`. */
export async function firstOfArrow(file: string): Promise<Row | undefined> {
  for await (const row of rowsOfArrow(file)) return row;
  return undefined;
}

async function* rowsOfArrow(file: string, wanted?: ReadonlySet<string>): AsyncGenerator<Row> {
  // 100 ms to load, and few experiments have such files.
  const { arrowRows } = await import("./arrow-rows.ts");
  const handle = await open(file, "r");
  const rows = arrowRows(handle, wanted);
  try {
    for (;;) {
      const next = await rows.next().catch((thrown: unknown) => {
        throw faultFor(file, thrown);
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // The reader has closed it where it came to the end.
    await handle.close().catch(() => undefined);
  }
}

function faultFor(file: string, thrown: unknown) {
  if (!String(thrown).includes("codec not found")) return unreadableArrow(file, thrown);
  const next = "Write it without compression or with zstd, for example with save_to_disk of the datasets library.";
  return datasetFault("dataset-format", file, "its rows are compressed with LZ4, which can't be read here.", next);
}
