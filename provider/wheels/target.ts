import { Fault } from "../../recipe/fault.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import type { MarkerFacts } from "./markers.ts";

/** What decides which files of a lock a host takes. */
export interface WheelTarget {
  /** Minor of its CPython 3. */
  readonly minor: number;
  /** Its version in full, e.g. `3.12.1`. */
  readonly python: string;
  readonly machine: "x86_64" | "aarch64";
  /** Minor of its glibc 2. */
  readonly glibc: number;
}

/** Of hosts that don't say: the oldest that is let in (hosts/ssh-bootstrap.ts). */
const leastGlibc = 28;

/** What a host's preflight says of it. Throws Fault `python-missing`. */
export function targetOf(
  { python, arch, libc = "" }: Pick<CommandOutput<"preflight">, "python" | "arch" | "libc">,
  host: string,
): WheelTarget {
  if (python === null) {
    throw new Fault({
      code: "python-missing",
      property: "compute.host",
      message: `${host} has no Python 3.11, 3.12 or 3.13, and Python itself is not pushed.`,
      next: "Install one there (Debian, Ubuntu: `apt install python3`).",
      blame: "infrastructure",
    });
  }
  return {
    minor: Number(python.version.split(".")[1]),
    python: python.version,
    machine: arch === "arm64" ? "aarch64" : "x86_64",
    glibc: Number(/\b2\.(\d+)/.exec(libc)?.[1] ?? leastGlibc),
  };
}

/** Its values of a lock's markers. */
export function markerFacts({ minor, python, machine }: WheelTarget): MarkerFacts {
  return {
    python_version: `3.${minor}`,
    python_full_version: python,
    implementation_name: "cpython",
    platform_python_implementation: "CPython",
    os_name: "posix",
    sys_platform: "linux",
    platform_system: "Linux",
    platform_machine: machine,
    extra: "",
  };
}

/** Names that older rules gave to what is called by its glibc now (PEP 600). */
const older: Readonly<Record<string, string>> = { manylinux1: "2_5", manylinux2010: "2_12", manylinux2014: "2_17" };

/** How well the wheel of this file name fits, greater is better; undefined where it does not run there. */
export function fitOf(filename: string, target: WheelTarget): number | undefined {
  const parts = filename.replace(/\.whl$/, "").split("-");
  if (!filename.endsWith(".whl") || parts.length < 5) return undefined;
  const [pythons, abis, platforms] = parts.slice(-3).map((tags) => tags.split("."));
  let best: number | undefined;
  for (const python of pythons ?? []) {
    for (const abi of abis ?? []) {
      for (const platform of platforms ?? []) {
        const [tag, place] = [pythonFit(python, abi, target), platformFit(platform, target)];
        if (tag === undefined || place === undefined) continue;
        best = Math.max(best ?? 0, tag * 1000 + place);
      }
    }
  }
  return best;
}

function pythonFit(python: string, abi: string, { minor }: WheelTarget): number | undefined {
  const [, kind, digits] = /^(cp|py)3(\d*)$/.exec(python) ?? [];
  const since = Number(digits);
  if (kind === undefined || since > minor) return undefined;
  if (kind === "cp" && abi === python && since === minor) return 300;
  if (kind === "cp" && abi === "abi3") return 200 + since;
  if (abi !== "none") return undefined;
  if (kind === "cp") return since === minor ? 199 : undefined;
  return 100 + since;
}

function platformFit(platform: string, { machine, glibc }: WheelTarget): number | undefined {
  if (platform === "any") return 0;
  if (platform === `linux_${machine}`) return 1;
  if (!platform.startsWith("manylinux") || !platform.endsWith(`_${machine}`)) return undefined;
  const name = platform.slice(0, -machine.length - 1);
  const least = Number(/^2_(\d+)$/.exec(older[name] ?? name.replace(/^manylinux_/, ""))?.[1] ?? NaN);
  return least <= glibc ? 1 + least : undefined;
}
