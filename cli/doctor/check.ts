/**
 * `ok`: as it should be. `note`: not there, and not needed or made good by itself. `warning`: it may fail.
 * `missing`: it will fail.
 */
export type CheckState = "ok" | "note" | "warning" | "missing";

/** One line of the doctor's. */
export interface Check {
  /** What was looked at, e.g. `python`. */
  readonly name: string;
  readonly state: CheckState;
  /** What was found. */
  readonly detail: string;
  /** What to do; there where the state is `warning` or `missing`. */
  readonly next?: string;
}

/** Environment variables as the checks read them. */
export type Variables = Readonly<Record<string, string | undefined>>;
