import { Fault } from "../../recipe/fault.ts";
import { torchMirror } from "../../recipe/mirrors.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../folders.ts";
import type { Gpu } from "../../recipe/gpus.ts";
import { torchPins } from "./identity.ts";
import { uvVariables } from "./uv-variables.ts";

/**
 * Where torch comes from: PyPI, an index of PyTorch's, or a mirror's folder of PyTorch's wheels. An index of PyTorch's has smaller builds (CPU) and such for older drivers (CUDA), but its files are not in
 * our hash-locked files: there only the versions are pinned, and TLS vouches for the rest.
 */
export interface TorchRoute {
  readonly source: "pypi" | "index";
  /** How uv is told: `--torch-backend cpu`, `--find-links https://...`; nothing for PyPI. */
  readonly words: readonly string[];
  /** Its builds by their local versions, `torch==2.13.0+cpu`; undefined where uv knows which. */
  readonly build?: string;
  /** Bytes that the whole environment takes on disk. Measured on Linux x86-64, Python 3.11 (pypi); by PyTorch's wheel sizes (others). */
  readonly bytes: number;
}

const pypi: TorchRoute = { source: "pypi", words: [], bytes: 5.4e9 };
const cpuIndex: TorchRoute = { source: "index", words: ["--torch-backend", "cpu"], bytes: 1.4e9 };
const cudaIndex: TorchRoute = { source: "index", words: ["--torch-backend", "auto"], bytes: 5.5e9 };
const macos: TorchRoute = { source: "pypi", words: [], bytes: 1.2e9 };

/** PyPI's build of torch 2.13 is of CUDA 13.0, which asks for this driver (CUDA 13.0 release notes, table 3). */
export const leastDriver = 580;

/** What runs on older drivers, down to 525 (CUDA's minor version compatibility). */
export const olderBuild = "cu126";

/** The pins of torch and torchaudio as this route has them. */
export function pinsOf({ build }: TorchRoute): string[] {
  return torchPins().map((pin) => (build === undefined ? pin : `${pin}+${build}`));
}

/** The mirror's folder for the device; undefined where its PyPI has the same build, pinned by hash. */
function mirrorRoute(mirror: string, device: "cpu" | "cuda", driver: string | undefined): TorchRoute | undefined {
  if (device === "cuda" && (driver === undefined || Number.parseInt(driver, 10) >= leastDriver)) return undefined;
  const build = device === "cpu" ? "cpu" : olderBuild;
  const { bytes } = device === "cpu" ? cpuIndex : cudaIndex;
  return { source: "index", words: ["--find-links", `${mirror}${build}/`], build, bytes };
}

/** The route of packages that were pushed; `hasOwnLock`: torch is a build of PyTorch's. */
export function pushedRoute(device: "cpu" | "cuda", hasOwnLock: boolean): TorchRoute {
  if (!hasOwnLock) return pypi;
  return { ...(device === "cpu" ? cpuIndex : cudaIndex), words: [] };
}

/** An engine's lock has its torch from PyPI; `bytes`: what all of it takes on disk. */
export function engineRoute(bytes: number): TorchRoute {
  return { ...pypi, bytes };
}

/** Chooses the route for `device` and says why in the log. Throws Fault `driver-too-old`. */
export async function chooseRoute(
  { device, gpus, uv, python }: { device: "cpu" | "cuda"; gpus: readonly Gpu[]; uv: string; python: string },
  context: Context,
): Promise<TorchRoute> {
  if (process.platform === "darwin") return macos;
  const driver = gpus[0]?.driver;
  if (device === "cuda" && driver === undefined) {
    // uv's `auto` asks the driver of where it runs, and takes the CPU's build where there is none.
    context.log("info", "torch comes from PyPI with its CUDA libraries: the GPU that it is for is not here.");
    return pypi;
  }
  const mirror = torchMirror(process.env);
  const own = device === "cpu" ? cpuIndex : cudaIndex;
  const index = mirror === undefined ? own : mirrorRoute(mirror, device, driver);
  if (index === undefined) {
    context.log("info", "torch comes from the mirror of PyPI, pinned by hash.");
    return pypi;
  }
  const where = mirror === undefined ? "PyTorch's index" : new URL(mirror).host;
  const unreachable = await probe(index, uv, python, context);
  if (unreachable === undefined) {
    context.log("info", `torch comes from ${where} (${device}), pinned by version: ${pinsOf(index).join(", ")}.`);
    return index;
  }
  if (device === "cuda" && driver !== undefined && Number.parseInt(driver, 10) < leastDriver) {
    throw new Fault({
      code: "driver-too-old",
      property: "compute.device",
      message: `The NVIDIA driver ${driver} is too old for PyPI's torch (CUDA 13.0 needs ${leastDriver} or newer), and ${where}, which has builds for it, can't be used (${unreachable}).`,
      next: `Update the driver, or make ${mirror === undefined ? "download.pytorch.org" : where} reachable.`,
      blame: "infrastructure",
    });
  }
  context.log(
    "info",
    `torch comes from PyPI with its CUDA libraries (${formatBytes(pypi.bytes)} on disk), because ${where} can't be used: ${unreachable}.`,
  );
  return pypi;
}

/** Why the index can't give our versions; undefined if it can. Asks uv itself: the same proxy, certificates and platform. */
async function probe(route: TorchRoute, uv: string, python: string, context: Context): Promise<string | undefined> {
  const { exitCode, stderr } = await runAttached(
    uv,
    [
      "pip",
      "install",
      "--dry-run",
      "--quiet",
      "--no-deps",
      "--python",
      python,
      "--target",
      "/nonexistent",
      ...route.words,
      ...pinsOf(route),
    ],
    {
      python,
      signal: context.signal,
      timeoutMs: 20_000,
      environment: { ...uvVariables(), UV_HTTP_TIMEOUT: "8", UV_HTTP_RETRIES: "0" },
    },
  );
  return exitCode === 0 ? undefined : lastWords(stderr) || "it did not answer within 20 s";
}
