import type { HostFacts as Facts } from "../../recipe/host-facts.ts";
import { backendOf } from "../toolchain/backend.ts";
import { type Say, sayIn } from "../language/say.ts";
import type { Check, Variables } from "./check.ts";

/** The first port that an endpoint takes. */
export const firstPort = 8400;

const gigabyte = 1e9;
/** Disk of the Python environment with torch from PyPI, measured, and of the embedded model with a run. */
const environmentBytes = 5.6 * gigabyte;
const modelBytes = 1 * gigabyte;
/** Peak of training and serving the embedded model, measured. */
const memoryBytes = 3 * gigabyte;

/** What the agent's preflight found on this machine, judged for the embedded experiment. */
export async function machineChecks(
  facts: Facts,
  home: string,
  variables: Variables,
  tell: Say = sayIn("en"),
): Promise<Check[]> {
  const backend = await backendOf(home, variables);
  return [
    ...preflightChecks(facts, home, tell),
    { name: tell("doctor.name.backend"), state: "ok", detail: backend.description },
  ];
}

/** What a preflight says of the machine that trains, wherever that is. */
export function preflightChecks(facts: Facts, dataDirectory: string, tell: Say): Check[] {
  return [
    python(facts, tell),
    environment(facts, tell),
    gpu(facts, tell),
    { name: tell("doctor.name.processors"), state: "ok", detail: `${facts.cores} (${facts.platform} ${facts.arch})` },
    memory(facts, tell),
    disk(facts, tell),
    port(facts, tell),
    facts.unwritable === undefined
      ? { name: tell("doctor.name.home"), state: "ok", detail: dataDirectory }
      : {
          name: tell("doctor.name.home"),
          state: "missing",
          detail: facts.unwritable,
          next: tell("doctor.home.next"),
        },
  ];
}

function python({ python: found, egress: reached }: Facts, tell: Say): Check {
  if (found !== null) return { name: "python", state: "ok", detail: `${found.version} (${found.path})` };
  if (reached?.pypi === true) return { name: "python", state: "note", detail: tell("doctor.python.brought") };
  return {
    name: "python",
    state: "missing",
    detail: tell("doctor.python.none"),
    next: tell("doctor.python.next"),
  };
}

function environment({ environment: record }: Facts, tell: Say): Check {
  if (record === null) {
    return {
      name: tell("doctor.name.environment"),
      state: "note",
      detail: tell("doctor.environment.none"),
    };
  }
  const { llamafactory, torch, transformers, torchSource, deviceName } = record;
  return {
    name: tell("doctor.name.environment"),
    state: "ok",
    detail: tell("doctor.environment.ok", { llamafactory, transformers, torch, torchSource, deviceName }),
  };
}

function gpu({ gpus, environment: record }: Facts, tell: Say): Check {
  if (gpus.length === 0) return { name: "gpu", state: "note", detail: tell("doctor.gpu.none") };
  const detail = gpus
    .map(({ name, memoryBytes: bytes, driver }) => tell("doctor.gpu.one", { name, memory: inGigabytes(bytes), driver }))
    .join(tell("doctor.gpu.between"));
  if (record?.device === "cpu") {
    return {
      name: "gpu",
      state: "warning",
      detail: tell("doctor.gpu.unused", { gpus: detail }),
      next: tell("doctor.gpu.next"),
    };
  }
  return { name: "gpu", state: "ok", detail };
}

function memory({ memoryBytes: all, memoryFreeBytes: free }: Facts, tell: Say): Check {
  const name = tell("doctor.name.memory");
  const figures = { free: inGigabytes(free), all: inGigabytes(all), needed: inGigabytes(memoryBytes) };
  if (free >= memoryBytes) return { name, state: "ok", detail: tell("doctor.memory.free", figures) };
  return {
    name,
    state: "warning",
    detail: tell("doctor.memory.little", figures),
    next: tell("doctor.memory.next"),
  };
}

function disk({ diskFreeBytes: free, environment: record }: Facts, tell: Say): Check {
  const needed = (record === null ? environmentBytes : 0) + modelBytes;
  const name = tell("doctor.name.disk");
  const figures = { free: inGigabytes(free), needed: inGigabytes(needed) };
  if (free >= needed) return { name, state: "ok", detail: tell("doctor.disk.free", figures) };
  return {
    name,
    state: "missing",
    detail: tell("doctor.disk.little", figures),
    next: tell("doctor.disk.next"),
  };
}

function port({ port: state }: Facts, tell: Say): Check {
  if (state === "taken") {
    return {
      name: tell("doctor.name.port"),
      state: "note",
      detail: tell("doctor.port.taken", { port: firstPort }),
    };
  }
  return { name: tell("doctor.name.port"), state: "ok", detail: tell("doctor.port.free", { port: firstPort }) };
}

function inGigabytes(bytes: number): string {
  return `${(bytes / gigabyte).toFixed(1)} GB`;
}
