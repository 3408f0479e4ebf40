/** What a check is about. */
export type CheckArea =
  "config" | "compatibility" | "environment" | "weights" | "data" | "machine" | "memory" | "disk" | "time" | "price";

/** One line of `tuneup check`: what was looked at, the figure, the limit, and where the figure comes from. */
export interface CheckFinding {
  readonly area: CheckArea;
  /** `error`: `preview` and `up` refuse; `warning`: said, and nothing else. */
  readonly level: "ok" | "warning" | "error";
  /** Stable name of the kind of finding, kebab-case; required for warnings and errors. */
  readonly code?: string;
  /** Config key at fault, e.g. `train.per_device_train_batch_size`. */
  readonly property?: string;
  /** One sentence with the figure and the limit. */
  readonly message: string;
  /** The names and figures of `message`, for its sentence in another language, which the code names. */
  readonly values?: Readonly<Record<string, string | number>>;
  /** The figure and the limit again for programs, in `unit`. */
  readonly figure?: number;
  readonly limit?: number;
  readonly unit?: "bytes" | "seconds" | "USD" | "tokens" | "rows" | "steps";
  /** Where the figure comes from: measured here, a formula, a table and its date, the hub. */
  readonly basis?: string;
  /** What to do next, cheapest change first. */
  readonly next?: string;
}
