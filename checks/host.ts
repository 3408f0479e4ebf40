import { environmentBytes } from "../recipe/estimates/disk.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import { gigabytes } from "./figures.ts";
import type { HostFacts } from "./hardware.ts";
import { unusableGpu } from "./usable-gpus.ts";

/** Why no training can start on the host: its data directory, its Python, its GPU. Known before anything is fetched. `device`: `tuneup:compute.device`. */
export function hostFaults(device: "auto" | "cpu" | "cuda", facts: HostFacts): FaultFacts[] {
  const { python, unwritable, environment, diskFreeBytes } = facts;
  const faults: FaultFacts[] = [];
  if (unwritable !== undefined) {
    faults.push({
      code: "home-unwritable",
      property: "storage.dataDirectory",
      message: `${unwritable}.`,
      next: "Set `tuneup:storage.dataDirectory` (or TUNEUP_HOME) to a folder that can be written.",
    });
  }
  if (python === null) {
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
      property: "storage.dataDirectory",
      message: `the Python environment needs ${gigabytes(environmentBytes)} and ${gigabytes(diskFreeBytes)} are free.`,
      next: "Free some space, or set `tuneup:storage.dataDirectory` to a larger disk.",
    });
  }
  const gpu = unusableGpu(device, facts);
  return gpu === undefined ? faults : [...faults, gpu];
}
