import type { CheckFinding } from "../recipe/check-report.ts";
import { asFault } from "../recipe/fault.ts";
import { faultText } from "./language/faults.ts";
import { languageOf } from "./language/locale.ts";

/**
 * How `check` and `data` end where they can't even begin, by what the user has to mend: exit code 2, and with `json` the fault as
 * a finding. Throws everything else again.
 */
export function tellRefused(experiment: string, thrown: unknown, json: boolean): void {
  const fault = asFault(thrown);
  if (fault.blame !== "user" || fault.code === "cancelled") throw thrown;
  process.exitCode = 2;
  if (!json) {
    process.stderr.write(`${faultText(fault, languageOf(process.env))}\n`);
    return;
  }
  const { code, property, message, next } = fault;
  const finding: CheckFinding = {
    ...{ area: "config", level: "error", code, message },
    ...(property === undefined ? {} : { property }),
    ...(next === undefined ? {} : { next }),
  };
  process.stdout.write(`${JSON.stringify({ experiment, findings: [finding] }, null, 2)}\n`);
}
