import { existsSync } from "node:fs";
import { preflight } from "../../agent/preflight.ts";
import { connect } from "../../hosts/connect.ts";
import { homeOf } from "../../recipe/home.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { hostSpecFor } from "../project.ts";
import { writeBundle } from "./bundle.ts";
import { say, sayIn, type Say } from "../language/say.ts";
import { columnsOf, padColumns } from "../language/width.ts";
import { awsChecks } from "./aws.ts";
import type { Check, Variables } from "./check.ts";
import { clusterChecks } from "./cluster.ts";
import { eksChecks } from "./eks.ts";
import { firstPort, machineChecks } from "./machine.ts";
import { networkChecks } from "./network.ts";
import { remoteChecks } from "./remote.ts";
import { toolChecks } from "./tools.ts";

/** Looks at what trains, where that is not this machine. */
type Elsewhere = (variables: Variables, tell: Say) => Promise<Check[]>;

/** What `tuneup doctor` was asked for. */
export interface DoctorOptions {
  /** With target `ssh` its machine, with `kubernetes` and `eks` its cluster, with `aws` the way to its machine is looked at instead of this one. Default: this one. */
  readonly experiment?: string | undefined;
  readonly json?: boolean;
  /** File to write a support bundle to. */
  readonly bundle?: string;
}

/**
 * Looks at this machine's tools and network, and at what trains: what `elsewhere` looks at, else this machine. Changes nothing but for
 * creating the data directory. Says it in the language of `tell`.
 */
export async function examine(
  home: string,
  variables: Variables,
  tell: Say = sayIn("en"),
  elsewhere?: Elsewhere,
): Promise<Check[]> {
  if (elsewhere !== undefined) {
    const parts = await Promise.all([
      toolChecks(home, variables, tell),
      elsewhere(variables, tell),
      networkChecks(variables, existsSync(layoutOf(home).env), tell),
    ]);
    return parts.flat();
  }
  const facts = await preflight(
    { dataDirectory: home, port: { host: "127.0.0.1", port: firstPort, experiment: "doctor" } },
    { progress: () => undefined, log: () => undefined, data: () => undefined, signal: new AbortController().signal },
  );
  const parts = await Promise.all([
    toolChecks(home, variables, tell),
    machineChecks(facts, home, variables, tell),
    networkChecks(variables, facts.environment !== null, tell),
  ]);
  return parts.flat();
}

/** `tuneup doctor`: prints the checks on stdout. Returns the exit code: 1 where something is missing, else 0. */
export async function doctor(options: DoctorOptions, variables: Variables = process.env): Promise<number> {
  const home = homeOf(variables);
  const elsewhere = options.experiment === undefined ? undefined : await elsewhereOf(options.experiment);
  // What programs read is English: JSON, and the bundle that goes to others.
  const programs = options.json === true || options.bundle !== undefined;
  const checks = await examine(home, variables, programs ? sayIn("en") : say, elsewhere);
  process.stdout.write(options.json === true ? `${JSON.stringify({ home, checks }, null, 2)}\n` : asText(checks));
  if (options.bundle !== undefined) {
    const names = await writeBundle(options.bundle, checks, home, variables);
    process.stderr.write(`${say("doctor.bundle", { file: options.bundle, names: names.join(", ") })}\n`);
  }
  return checks.some((check) => check.state === "missing") ? 1 : 0;
}

/** Looks at what trains an experiment where that is not this machine; undefined where it is. */
async function elsewhereOf(experiment: string): Promise<Elsewhere | undefined> {
  const spec = await hostSpecFor(experiment);
  const { eks } = spec.kind === "kubernetes" ? spec : {};
  if (spec.kind === "kubernetes" && eks !== undefined) {
    return (variables, tell) => eksChecks({ ...spec, eks }, variables, tell);
  }
  if (spec.kind === "kubernetes") return (_variables, tell) => clusterChecks(spec, tell);
  if (spec.kind === "aws") return (variables, tell) => awsChecks(spec, variables, tell);
  if (spec.kind !== "ssh") return undefined;
  return (variables, tell) => remoteChecks({ address: spec.address, reach: () => connect(spec) }, variables, tell);
}

/** One line a check, and below it what to do. */
export function asText(checks: readonly Check[]): string {
  const width = Math.max(...checks.map((check) => columnsOf(check.name)));
  const lines = checks.flatMap(({ name, state, detail, next }) => [
    `${padColumns(say(`doctor.${state}`), 7)}  ${padColumns(name, width)}  ${detail}`,
    ...(next === undefined ? [] : [`${" ".repeat(width + 9)}  ${next}`]),
  ]);
  const count = (state: Check["state"]) => checks.filter((check) => check.state === state).length;
  const counts = { ok: count("ok"), note: count("note"), warning: count("warning"), missing: count("missing") };
  const verdict = say("doctor.verdict", counts);
  return `${[...lines, verdict].join("\n")}\n`;
}
