import { engineLock } from "../hosts/engine-lock.ts";
import type { Host } from "../hosts/host.ts";
import { engineFacts, engineTrouble, type OwnEngine } from "../recipe/engines.ts";
import { environmentBytes } from "../recipe/estimates/disk.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import type { CommandOutput } from "../recipe/protocol.ts";
import type { Variant } from "../recipe/variants.ts";
import { gigabytes } from "./figures.ts";
import type { HostFacts } from "./hardware.ts";
import { unusableGpu } from "./usable-gpus.ts";

/**
 * What a host tells of itself, and of the environment of `engine`. One on another machine that has no Python is asked whether it can be brought one, unless it is to be `offline`.
 * Throws the Faults of the way there.
 */
export async function hostFacts(
  host: Host,
  extras: readonly Variant[] | undefined,
  offline: boolean | undefined,
  engine?: OwnEngine,
): Promise<CommandOutput<"preflight">> {
  const input = {
    ...(extras === undefined ? {} : { extras: [...extras] }),
    ...(engine === undefined ? {} : { engineLock: engineLock(engine) }),
  };
  const told = await host.run("preflight", input);
  if (told.python !== null || host.isHere || offline === true) return told;
  return host.run("preflight", { ...input, egress: true });
}

/**
 * Why no training can start on the host: its data directory, its Python, its GPU. Known before anything is fetched. `device`:
 * `tuneup:compute.device`. `isCluster`: its data directory is a volume.
 */
export function hostFaults(device: "auto" | "cpu" | "cuda", facts: HostFacts, isCluster = false): FaultFacts[] {
  const { python, unwritable, environment, diskFreeBytes, egress } = facts;
  const faults: FaultFacts[] = [];
  if (unwritable !== undefined) {
    faults.push({
      code: isCluster ? "volume-unavailable" : "home-unwritable",
      property: isCluster ? "kubernetes.volume.storageClassName" : "storage.dataDirectory",
      message: `${unwritable}.`,
      next: isCluster
        ? "Set `tuneup:kubernetes.volume.storageClassName` to one that it has."
        : "Set `tuneup:storage.dataDirectory` (or TUNEUP_HOME) to a folder that can be written.",
    });
  }
  // A host that reaches the index by itself is brought one.
  if (python === null && egress?.pypi !== true) {
    faults.push({
      code: "python-missing",
      property: "host",
      message: "no Python 3.11, 3.12 or 3.13 was found on PATH.",
      next: "Install one (Debian: apt install python3 python3-venv; macOS: brew install python@3.13).",
    });
  }
  if (environment === null && unwritable === undefined && diskFreeBytes < environmentBytes) {
    faults.push({
      code: "disk-full",
      property: isCluster ? "kubernetes.volume.size" : "storage.dataDirectory",
      message: `the Python environment needs ${gigabytes(environmentBytes)} and ${gigabytes(diskFreeBytes)} are free.`,
      next: isCluster
        ? "Give the volume more."
        : "Free some space, or set `tuneup:storage.dataDirectory` to a larger disk.",
    });
  }
  const gpu = unusableGpu(device, facts);
  return gpu === undefined ? faults : [...faults, gpu];
}

/** Why the engine's own environment can't be on the host: machine, driver, disk. `isCluster`: its cards tell no driver, its disk is a volume. */
export function engineFaults(engine: OwnEngine, facts: HostFacts, isCluster = false): FaultFacts[] {
  const { gpus, platform, arch, driverTrouble, diskFreeBytes, unwritable, engineEnvironment = null } = facts;
  const { bytes } = engineFacts[engine];
  // What of a driver is broken is told of the environment that trains.
  const trouble = driverTrouble === undefined ? engineTrouble(engine, { platform, arch, gpus }) : undefined;
  const faults = trouble === undefined ? [] : [trouble];
  if (engineEnvironment !== null || unwritable !== undefined || diskFreeBytes >= bytes) return faults;
  const property = isCluster ? "kubernetes.volume.size" : "storage.dataDirectory";
  const message = `the environment of ${engine} needs ${gigabytes(bytes)} and ${gigabytes(diskFreeBytes)} are free.`;
  const next = `${isCluster ? "Give the volume more" : "Free some space"}, or set \`tuneup:serve.engine: huggingface\`.`;
  return [...faults, { code: "disk-full", property, message, next }];
}
