import { z } from "zod";
import { environmentLock } from "../../agent/environment/identity.ts";
import { engineFaults, hostFacts, hostFaults } from "../../checks/host.ts";
import { engineLock, engineSet } from "../../hosts/engine-lock.ts";
import { awsProgramsFor, missingAwsPrograms, programMissing } from "../../hosts/aws-programs.ts";
import { connectIfUp } from "../../hosts/connect-if-up.ts";
import { engineNames } from "../../recipe/engines.ts";
import { hostSpec } from "../../recipe/host.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import { variantNames } from "../../recipe/variants.ts";
import { reaches } from "../egress.ts";
import { failureOf, type Health, healthy, type ResourceKind, type Work } from "../kind.ts";
import { pushEnvironment } from "../push-environment.ts";
import { hasUnknown, type Wire } from "../values.ts";

const inputs = z.object({
  host: hostSpec,
  /** Which machine the host is, where it may become another: what it is to do is said to that one again. */
  machine: z.string().optional(),
  device: z.enum(["auto", "cpu", "cuda"]),
  /** What it has beyond the base; absent where that is nothing, as in the state of older releases. */
  extras: z.array(z.enum(variantNames)).optional(),
  /** It is that of an engine, which has its own; default: the one that trains. */
  engine: z.enum(engineNames).optional(),
});

/** Outputs of `tuneup-host:index:Environment`. */
export interface EnvironmentOutputs extends Health {
  /** Folder of the virtual environment on the host. */
  readonly path: string;
  /** Digest of the lock files. */
  readonly lock: string;
  /** What the self-test ran on, and what will train. */
  readonly torchDevice: "cpu" | "cuda";
  readonly deviceName: string;
  readonly torch: string;
  readonly bytes: number;
}

/** LLaMA-Factory's locked Python environment, or an engine's own. Shared by experiments with the same lock; `destroy` keeps it. */
export const environmentKind: ResourceKind<typeof inputs, EnvironmentOutputs> = {
  inputs,
  replaceOn: ["host", "engine"],

  async check(news: Wire) {
    if (hasUnknown(news["host"])) return { failures: [] };
    const { extras, device, host, engine } = inputs.parse(news);
    const offline = host.kind === "local" ? undefined : host.offline;
    const programs = awsProgramsFor(host);
    const lacking = programs.length === 0 ? [] : await missingAwsPrograms(process.env["PATH"]);
    const way = lacking.filter((name) => programs.includes(name)).map((name) => programMissing(name).toFacts());
    const place = way.length > 0 ? undefined : await connectIfUp(host);
    // A machine that is yet to be made has nothing to tell.
    if (place === undefined) return { failures: way.map(failureOf) };
    const facts = await hostFacts(place, extras, offline, engine);
    const isCluster = host.kind === "kubernetes";
    // What else is wrong with the host is told of the environment that trains.
    const faults = engine === undefined ? hostFaults(device, facts, isCluster) : engineFaults(engine, facts, isCluster);
    return { failures: faults.map(failureOf) };
  },

  id: ({ host, engine }) => `${engine ?? "environment"}@${host.dataDirectory}`,

  async ensure(given, work) {
    const { host: spec, device, extras } = given;
    const { host, options } = work;
    const wanted = { device, extras, ...(given.engine === undefined ? {} : { engine: engineSet(given.engine) }) };
    const isPushed = !host.isHere && !(await isThere(given, work)) && !(await reaches(host, spec, ["pypi"]));
    return outputsOf(
      isPushed ? await pushEnvironment(wanted, work) : await host.run("environment-ensure", wanted, options),
    );
  },

  async read(_inputs, old, { host, options }) {
    const found = await host.run("environment-read", { lock: old.lock }, options);
    return found === null ? { ...old, state: "missing" } : outputsOf(found);
  },

  remove: () => Promise.resolve(),
};

function outputsOf({
  path,
  record,
}: {
  path: string;
  record: CommandOutput<"environment-ensure">["record"];
}): EnvironmentOutputs {
  const { lock, device, deviceName, torch, bytes } = record;
  return { path, lock, torchDevice: device, deviceName, torch, bytes, state: healthy };
}

/** Is an environment of this lock on the host, for the device that is asked for? */
async function isThere({ device, extras, engine }: z.output<typeof inputs>, { host, options }: Work): Promise<boolean> {
  const lock = engine === undefined ? environmentLock(extras) : engineLock(engine);
  const found = await host.run("environment-read", { lock }, options);
  if (found === null || device !== "auto") return found?.record.device === device;
  const { gpus } = await host.run("preflight", { extras }, options);
  return found.record.device === (gpus.length > 0 ? "cuda" : "cpu");
}
