import type { RowChecker } from "./rows.ts";

/** Looks at the rows of a file that is made of columns. `wanted`: columns that are read. */
export type ColumnarReader = (file: string, checker: RowChecker, wanted: ReadonlySet<string>) => Promise<void>;

/** By ending, in small letters. */
export type ColumnarReaders = Readonly<Record<".parquet" | ".arrow", ColumnarReader>>;

/**
 * The agent's part: columns and number of rows. Every row was checked, with larger readers, where the experiment was. The readers of each kind are
 * loaded for a file of that kind.
 */
export const columnarCounters: ColumnarReaders = {
  ".parquet": async (file, checker) => {
    const { countParquet } = await import("./parquet-footer.ts");
    const { columns, rows } = await countParquet(file);
    checker.columnsAre(columns);
    checker.rows = rows;
  },
  ".arrow": async (file, checker) => {
    const { countArrow } = await import("./arrow-messages.ts");
    const { columns, rows } = await countArrow(file);
    checker.columnsAre(columns);
    checker.rows = rows;
  },
};
