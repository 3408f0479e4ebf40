import { environmentBytes } from "../recipe/estimates/disk.ts";
import type { Host } from "../hosts/host.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import type { CommandOutput } from "../recipe/protocol.ts";
import type { Variant } from "../recipe/variants.ts";
import { gigabytes } from "./figures.ts";
import type { HostFacts } from "./hardware.ts";
import { unusableGpu } from "./usable-gpus.ts";

/**
 * What a host tells of itself. One on another machine that has no Python is asked whether it can be brought one, unless it is to be `offline`.
 * Throws the Faults of the way there.
 */
export async function hostFacts(
  host: Host,
  extras: readonly Variant[] | undefined,
  offline: boolean | undefined,
): Promise<CommandOutput<"preflight">> {
  const input = extras === undefined ? {} : { extras: [...extras] };
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
