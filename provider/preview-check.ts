import { existsSync, readFileSync } from "node:fs";
import { checkExperiment } from "../checks/experiment.ts";
import type { HostFacts } from "../checks/hardware.ts";
import { engineFaults } from "../checks/host.ts";
import { connectIfUp } from "../hosts/connect-if-up.ts";
import { engineOf, type OwnEngine } from "../recipe/engines.ts";
import { readExperiment } from "../recipe/experiment.ts";
import { Fault } from "../recipe/fault.ts";
import { homeOf } from "../recipe/home.ts";
import type { HostSpec } from "../recipe/host.ts";
import { type Pins, readPins } from "../recipe/pins.ts";
import { type CheckFailure, failureOf } from "./kind.ts";

/** What preview says of an experiment beside what its other resources say. */
export interface PreviewCheck {
  readonly failures: readonly CheckFailure[];
  readonly warnings: readonly string[];
}

/** What another resource tells: the endpoint which engines there are, an engine's environment what its host lacks for it. */
function isToldElsewhere(code: string | undefined, { engine, facts }: Told): boolean {
  if (code === undefined || engine === undefined || facts === undefined) return code === "engine-unavailable";
  return engineFaults(engine, facts).some((fault) => fault.code === code);
}

interface Told {
  readonly engine: OwnEngine | undefined;
  readonly facts: HostFacts | undefined;
}

/**
 * The checks of `tuneup check` that no other resource makes: memory, disk, time, price, card, environment. A program that
 * uses the components without an experiment's config has none of its own figures, and nothing is checked.
 */
export async function previewCheck(config: unknown, host: HostSpec, pins: string | undefined): Promise<PreviewCheck> {
  const { experiment } = readExperiment(config as Readonly<Record<string, unknown>>);
  if (experiment === undefined) return { failures: [], warnings: [] };
  const facts = await hostFacts(host);
  // What was fetched before is looked at on this machine alone.
  const home = host.kind === "local" ? host.dataDirectory : homeOf(process.env);
  const context = { home, pins: pinsIn(pins), host: facts, resourcesOnly: true };
  const engine = engineOf(experiment);
  const all = await checkExperiment(experiment, context);
  const found = all.filter(({ code }) => !isToldElsewhere(code, { engine, facts }));
  return {
    failures: found.filter(({ level }) => level === "error").map(failureOf),
    warnings: found
      .filter(({ level }) => level === "warning")
      .map(
        ({ code = "check", property, message, next }) =>
          new Fault({
            code,
            message,
            ...(property === undefined ? {} : { property }),
            ...(next === undefined ? {} : { next }),
          }).sentence,
      ),
  };
}

/** Undefined where the host can't be asked, or its machine is yet to be made: the environment's own check tells why. */
async function hostFacts(host: HostSpec): Promise<HostFacts | undefined> {
  try {
    return await (await connectIfUp(host))?.run("preflight", {});
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.blame !== "bug") return undefined;
    throw thrown;
  }
}

function pinsIn(path: string | undefined): Pins {
  return readPins(path !== undefined && existsSync(path) ? readFileSync(path, "utf8") : undefined, path ?? "");
}
