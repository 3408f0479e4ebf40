import { rm } from "node:fs/promises";
import { engineFacts, engineTrouble, type OwnEngine } from "../../recipe/engines.ts";
import { Fault } from "../../recipe/fault.ts";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import type { EnvironmentRecord } from "../../recipe/lifecycle.ts";
import { type Variant, variantFacts } from "../../recipe/variants.ts";
import type { Context, Handler } from "../context.ts";
import { bytesBelow } from "../files.ts";
import { buildOnce } from "../folders.ts";
import type { Gpu } from "../../recipe/gpus.ts";
import { findGpus } from "./gpus.ts";
import { engineDigest, type EngineSet, environmentLock, environmentName } from "./identity.ts";
import { createVenv, installPackages, installShare, selfTestSeconds } from "./install.ts";
import { ensurePython } from "./own-python.ts";
import { requireInWheels, routeOf } from "./pushed.ts";
import { environmentOfImage, findEnvironment, readEnvironment } from "./read.ts";
import { chooseRoute, engineRoute, type TorchRoute } from "./route.ts";
import { requireCompiler, selfTest } from "./self-test.ts";
import { ensureUv } from "./uv.ts";

/** Builds the locked environment with its extras for the device, or an engine's own, or finds it. `auto` is the GPU if nvidia-smi lists one. */
export const environmentEnsure: Handler<"environment-ensure"> = async (input, context) => {
  const layout = layoutOf(input.dataDirectory);
  const elsewhere = input.elsewhere === true && input.device !== "cpu";
  const { gpus, trouble } = input.device === "cpu" || elsewhere ? { gpus: [] } : await findGpus();
  if (trouble !== undefined) throw brokenDriver(trouble);
  const { engine } = input;
  if (engine !== undefined) requireEngineHost(engine.name, elsewhere ? undefined : gpus);
  const device = elsewhere ? "cuda" : resolveDevice(input.device, gpus);
  const extras = engine === undefined ? (input.extras ?? []) : [];
  const lock = engine === undefined ? environmentLock(extras) : engineDigest(engine.lock);
  const path = `${layout.env}/${environmentName(lock, device)}`;
  const brought = (await readEnvironment(path)) === undefined ? await environmentOfImage(lock, device) : undefined;
  if (brought !== undefined) return { ...brought, created: false };
  const pushed = input.wheels === undefined ? undefined : requireInWheels(input.wheels, layout);
  const { record, created } = await buildOnce(
    {
      path,
      lock: `${layout.locks}/env-${environmentName(lock, device)}`,
      what: engine === undefined ? "the Python environment" : `the environment of ${engine.name}`,
      read: () => readEnvironment(path),
      build: (folder) => build({ layout, folder, lock, device, gpus, extras, engine, pushed, elsewhere }, context),
    },
    context,
  );
  if (pushed !== undefined) await rm(pushed, { recursive: true, force: true, maxRetries: 5 });
  return { path, record, created };
};

/** The complete environment of this lock: the one for this host's device, else any. */
export const environmentRead: Handler<"environment-read"> = ({ dataDirectory, lock }) =>
  findEnvironment(layoutOf(dataDirectory), lock);

/** What `auto` means here. Throws Fault `device-missing` if a GPU is asked for where there is none. */
export function resolveDevice(asked: "auto" | "cpu" | "cuda", gpus: readonly Gpu[]): "cpu" | "cuda" {
  if (asked === "cuda" && gpus.length === 0) {
    const hidden = process.env["CUDA_VISIBLE_DEVICES"];
    const because = hidden === undefined ? "" : ` that CUDA_VISIBLE_DEVICES=${JSON.stringify(hidden)} admits`;
    throw new Fault({
      code: "device-missing",
      property: "compute.device",
      message: `is cuda, and nvidia-smi lists no GPU${because}.`,
      next: "Install the NVIDIA driver, or set `tuneup:compute.device` to cpu or auto.",
    });
  }
  return asked === "auto" ? (gpus.length > 0 ? "cuda" : "cpu") : asked;
}

/** Throws the fault of a machine that the engine's packages are not for. `gpus`: undefined where they are another Pod's. */
function requireEngineHost(name: OwnEngine, gpus: readonly Gpu[] | undefined): void {
  const trouble = engineTrouble(name, { platform: process.platform, arch: process.arch, gpus });
  if (trouble !== undefined) throw new Fault({ ...trouble, blame: "infrastructure" });
}

/** Training on the CPU because a driver is broken would be found out after hours. */
function brokenDriver(trouble: string): Fault {
  return new Fault({
    code: "cuda-unusable",
    property: "compute.device",
    message: `The NVIDIA driver of this machine does not work: ${trouble}.`,
    next: "Install or repair the driver (after an update of the kernel or of the driver: reboot), or set `tuneup:compute.device` to cpu to train without the GPU.",
    blame: "infrastructure",
  });
}

interface Plan {
  readonly layout: Layout;
  readonly folder: string;
  readonly lock: string;
  readonly device: "cpu" | "cuda";
  readonly gpus: readonly Gpu[];
  readonly extras: readonly Variant[];
  readonly engine: EngineSet | undefined;
  /** Folder of pushed packages, all that it is made of; undefined: they come from the index. */
  readonly pushed?: string | undefined;
  /** The GPU is not this machine's: whoever trains finds out whether torch can use it. */
  readonly elsewhere: boolean;
}

async function build(plan: Plan, context: Context): Promise<EnvironmentRecord> {
  const { layout, folder, lock, device, gpus, extras, engine, pushed, elsewhere } = plan;
  const python = await ensurePython(layout, context, pushed);
  if (engine !== undefined) await requireCompiler(engine.name, { layout, python: python.path }, context);
  const own = engine === undefined ? undefined : engineRoute(engineFacts[engine.name].bytes);
  const ready = own ?? (pushed === undefined ? undefined : routeOf(pushed, device));
  const uv = await ensureUv(layout, python, context, pushed);
  context.progress({ message: `making a virtual environment with Python ${python.version}` });
  await createVenv({ folder, python, uv, pushed }, context);
  const route = ready ?? (await chooseRoute({ device, gpus, uv, python: python.path }, context));
  await installPackages({ folder, python, uv, route, extras, engine, pushed }, context);
  const tested = elsewhere ? "cpu" : device;
  context.progress({
    message: `testing the environment on the ${tested === "cuda" ? "GPU" : "CPU"}`,
    fraction: installShare,
    secondsLeft: selfTestSeconds,
  });
  const modules = extras.map((name) => variantFacts[name].module);
  const facts = await selfTest({ layout, folder, device: tested, gpus, modules, engine: engine?.name }, context);
  const bytes = await bytesBelow(folder);
  const completedAt = new Date().toISOString();
  const { deviceName, transformers, llamafactory, torch } = facts;
  const torchSource = torchSourceOf(route, torch);
  const versions = { python: facts.python, torch, llamafactory, transformers };
  return { schemaVersion: 1, lock, completedAt, ...versions, device, deviceName, torchSource, bytes };
}

/** `2.13.0+cu128` from an index is `cu128`; PyPI's is `pypi` whatever its local version says. */
function torchSourceOf(route: TorchRoute, version: string): string {
  return route.source === "pypi" ? "pypi" : (version.split("+")[1] ?? "index");
}
