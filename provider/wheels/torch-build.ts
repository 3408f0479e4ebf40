import { rm, writeFile } from "node:fs/promises";
import { baseLock, torchPins } from "../../agent/environment/identity.ts";
import { requirePython } from "../../agent/environment/python.ts";
import { leastDriver, olderBuild } from "../../agent/environment/route.ts";
import { uvVariables } from "../../agent/environment/uv-variables.ts";
import { ensureUv } from "../../agent/environment/uv.ts";
import { lastWords, runAttached } from "../../agent/attached.ts";
import type { Context } from "../../agent/context.ts";
import { asFault, Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { type LockedPackage, lockEntries } from "./lock-entries.ts";
import type { PackageSources, TorchBuild } from "./sources.ts";
import type { WheelTarget } from "./target.ts";

/** The build that suits the host best, as agent/environment/route.ts has it: PyPI's asks for a new driver, and brings 2.5 GB that a CPU has no use for. */
export function wishedBuild(driver: string | undefined): TorchBuild {
  if (driver === undefined) return "cpu";
  return Number.parseInt(driver, 10) < leastDriver ? olderBuild : "pypi";
}

/** What a resolution is asked about. */
export interface TorchQuestion {
  readonly build: Exclude<TorchBuild, "pypi">;
  readonly target: WheelTarget;
  readonly sources: PackageSources;
  /** Data directory of this machine, whose uv resolves. */
  readonly home: string;
}

/**
 * Pins of a build of PyTorch's and of what belongs to it, beyond the base lock: uv resolves them on this machine for the host. Hashes are
 * those that the index names; a mirror's folder names none. Throws Fault `torch-unresolved`.
 */
export async function resolveTorch(
  { build, target, sources, home }: TorchQuestion,
  folder: string,
  context: Context,
): Promise<LockedPackage[]> {
  const base = baseLock();
  const constraints = `${folder}/constraints.txt`;
  const layout = layoutOf(home);
  try {
    const python = await requirePython(`${layout.tools}/python.json`);
    const uv = await ensureUv(layout, python, context);
    await writeFile(constraints, base);
    const where = sources.isFlat ? ["--find-links", `${sources.torch}${build}/`] : ["--torch-backend", build];
    const pins = torchPins().map((pin) => (sources.isFlat ? `${pin}+${build}` : pin));
    const { exitCode, stdout, stderr } = await runAttached(
      uv,
      [
        ...["pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"],
        ...["--only-binary", ":all:", "--constraints", constraints, "--python", python.path],
        ...["--python-version", target.python, "--python-platform", `${target.machine}-manylinux_2_28`],
        ...where,
      ],
      {
        ...{ python: python.path, signal: context.signal, input: `${pins.join("\n")}\n`, timeoutMs: 120_000 },
        environment: { ...uvVariables(), UV_HTTP_TIMEOUT: "8", UV_HTTP_RETRIES: "0" },
      },
    );
    if (exitCode !== 0) throw unresolved(build, lastWords(stderr) || "it did not answer within 120 s");
    const known = new Set(lockEntries(base).map(({ name }) => name));
    return lockEntries(stdout).filter(({ name }) => !known.has(name));
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "torch-unresolved") throw thrown;
    context.signal.throwIfAborted();
    throw unresolved(build, asFault(thrown).message);
  } finally {
    await rm(constraints, { force: true });
  }
}

function unresolved(build: string, reason: string): Fault {
  const message = `The build ${build} of torch could not be found from this machine: ${reason}.`;
  return new Fault({ code: "torch-unresolved", message, blame: "infrastructure" });
}

/** What is said where only an older build would run on the host's driver, and this machine does not get it. */
export function driverTooOld(driver: string, reason: string): Fault {
  return new Fault({
    code: "driver-too-old",
    property: "compute.device",
    message: `The host's NVIDIA driver ${driver} is too old for PyPI's torch (CUDA 13.0 needs ${leastDriver} or newer), and this machine does not get a build for it: ${reason}`,
    next: "Update the driver there, or let this machine reach download.pytorch.org.",
    blame: "infrastructure",
  });
}
