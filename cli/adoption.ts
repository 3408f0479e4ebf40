import { canonicalJson } from "../recipe/canonical.ts";
import { Fault } from "../recipe/fault.ts";
import type { RunStatus } from "../recipe/lifecycle.ts";
import type { Host } from "../hosts/host.ts";

/** What an experiment's stack file makes of itself now. */
export interface Intended {
  readonly experiment: string;
  /** Name of the run that `up` would declare; undefined where only a download tells it. */
  readonly run: string | undefined;
  /** The experiment, as a run keeps it. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * The run on the host that `up` takes over by its name. Throws Fault where there is none, and where the experiment as it is now makes
 * another one: that would train anew beside it.
 */
export async function adoptable(host: Host, { experiment, run, config }: Intended): Promise<RunStatus> {
  const runs = await host.run("run-list", { experiment });
  const [newest] = runs;
  if (newest === undefined) {
    throw new Fault({
      code: "adopt-nothing",
      message: `${host.description} has no run of ${experiment} in ${host.dataDirectory}.`,
      next: `\`npx tuneup up ${experiment}\` begins one. If it is elsewhere, correct compute.host or storage.dataDirectory.`,
    });
  }
  const same = runs.find((found) => found.run === run);
  if (same !== undefined) return same;
  const kept = await host.run("run-read", { run: newest.run });
  const changed = kept === null ? [] : changedKeys(kept.spec.config, config);
  // Only a download tells the name: what the file says decides then.
  if (run === undefined && changed.length === 0) return newest;
  const why = changed.length > 0 ? `differs in ${changed.join(", ")}` : "trains on other data, or by another release";
  throw new Fault({
    code: "adopt-differs",
    message: `${newest.run} is on ${host.description}, but stacks/Pulumi.${experiment}.yaml ${why} and makes another run${run === undefined ? "" : `, ${run}`}.`,
    next: `Set it back to take that run over. \`npx tuneup stop ${experiment}\` ends it, \`npx tuneup up ${experiment}\` begins the other one.`,
  });
}

/** Keys of the file that decide what a run is and differ, such as `train.learning_rate`. */
export function changedKeys(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): readonly string[] {
  const [was, is] = [trainOf(before), trainOf(now)];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort();
  const changed = names.filter((name) => !isSame(was[name], is[name])).map((name) => `train.${name}`);
  return [...["model", "datasets"].filter((key) => !isSame(before[key], now[key])), ...changed];
}

function trainOf({ train }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return (train ?? {}) as Readonly<Record<string, unknown>>;
}

/** By value: a run's record has been through JSON, where a key without a value is none. */
function isSame(one: unknown, other: unknown): boolean {
  return canonicalJson(plain(one)) === canonicalJson(plain(other));
}

function plain(value: unknown): unknown {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as unknown);
}
