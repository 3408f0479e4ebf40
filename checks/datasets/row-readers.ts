import type { ColumnarReaders } from "../../agent/datasets/columnar.ts";

/** Check every row of the files that the agent only counts. Each kind's library is loaded for a file of that kind. */
export const rowReaders: ColumnarReaders = {
  ".parquet": async (...given) => (await import("./read-parquet.ts")).readParquet(...given),
  ".arrow": async (...given) => (await import("./read-arrow.ts")).readArrow(...given),
};
