import { scheduleOf, stepsOf } from "../dataset-statistics.ts";
import type { DatasetSource } from "../experiment-schema.ts";
import general from "../embedded/general.json" with { type: "json" };
import identity from "../embedded/identity.json" with { type: "json" };
import type { ImportLog } from "./world.ts";

/** Rows of LLaMA-Factory's own identity.json, which the built-in one stands in for. */
const identityRowsOfLlamaFactory = 91;

/**
 * Warns of save and evaluation intervals longer than the run: such a run is saved and evaluated at its end alone.
 * Steps are computed from what the text alone tells: built-in datasets and `max_samples`, one GPU.
 */
export function warnOfIntervals(
  train: Readonly<Record<string, unknown>>,
  sources: readonly DatasetSource[],
  log: ImportLog,
): void {
  const steps = mostSteps(train, sources, identity.length);
  if (steps === undefined) return;
  const other = mostSteps(train, sources, identityRowsOfLlamaFactory);
  const stated = sources.some((source) => "builtin" in source && source.builtin === "identity");
  const rows = { rows: identityRowsOfLlamaFactory, own: identity.length };
  for (const [name, applies, code] of intervals(train)) {
    const every = numberOf(train[name]);
    if (!applies || every === undefined || every <= 1 || every <= steps) continue;
    if (stated && other !== undefined && other !== steps)
      log.warn(`${code}-compared`, { every, steps, other, ...rows });
    else log.warn(code, { every, steps });
  }
}

function intervals(
  train: Readonly<Record<string, unknown>>,
): (readonly [string, boolean, "save-interval" | "eval-interval"])[] {
  const saves = train["save_strategy"] ?? "steps";
  return [
    ["save_steps", saves === "steps", "save-interval"],
    ["eval_steps", train["eval_strategy"] === "steps", "eval-interval"],
  ];
}

/** Optimizer steps if every dataset is as long as it may be; undefined where one has no known end. */
function mostSteps(
  train: Readonly<Record<string, unknown>>,
  sources: readonly DatasetSource[],
  identityRows: number,
): number | undefined {
  const schedule = scheduleOf(
    Object.fromEntries(Object.entries(train).map(([key, value]) => [key, numberOf(value) ?? value])),
  );
  if (schedule.maxSteps > 0) return schedule.maxSteps;
  const most = schedule.maxSamples ?? Infinity;
  let rows = 0;
  for (const source of sources) {
    const parts = "names" in source ? source.names.length : 1;
    const known = "builtin" in source ? (source.builtin === "identity" ? identityRows : general.length) : Infinity;
    rows += parts * Math.min(known, most);
  }
  return Number.isFinite(rows) ? stepsOf(rows, schedule).total : undefined;
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
