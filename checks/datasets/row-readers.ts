import type { ColumnarReaders } from "../../agent/datasets/columnar.ts";
import { readArrow } from "./read-arrow.ts";
import { readParquet } from "./read-parquet.ts";

/** Check every row of the files that the agent only counts. */
export const rowReaders: ColumnarReaders = { ".parquet": readParquet, ".arrow": readArrow };
