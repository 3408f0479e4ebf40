import { join } from "node:path";
import { z } from "zod";
import { engineFacts, type OwnEngine } from "../../recipe/engines.ts";
import { Fault } from "../../recipe/fault.ts";
import type { Gpu } from "../../recipe/gpus.ts";
import type { Layout } from "../../recipe/layout.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { pythonScript } from "../scripts.ts";

const selfTestFacts = z.object({
  python: z.string(),
  torch: z.string(),
  cuda: z.string().nullable(),
  transformers: z.string(),
  llamafactory: z.string(),
  deviceName: z.string().default(""),
  unusable: z.string().optional(),
});
type SelfTestFacts = z.infer<typeof selfTestFacts>;

/** What is tested. */
export interface SelfTestPlan {
  readonly layout: Layout;
  readonly folder: string;
  readonly device: "cpu" | "cuda";
  readonly gpus: readonly Gpu[];
  /** What is imported beside what trains. */
  readonly modules: readonly string[];
  /** Whose environment it is, if not that which trains. */
  readonly engine?: OwnEngine | undefined;
}

/** Runs agent/python/selftest.py. Throws Fault `cuda-unusable` or `environment-broken`: a GPU that torch can't use is never left aside silently. */
export async function selfTest(plan: SelfTestPlan, context: Context): Promise<SelfTestFacts> {
  const { layout, folder, device, modules, engine } = plan;
  const python = join(folder, "bin", "python");
  const own = engine === undefined ? [] : [engineFacts[engine].module];
  const { exitCode, stdout, stderr } = await runAttached(
    python,
    ["-I", await pythonScript(layout, "selftest"), device, ...modules, ...own],
    { python, signal: context.signal },
  );
  const line = stdout.trim().split("\n").at(-1) ?? "";
  if (exitCode !== 0 || line === "") {
    throw new Fault({
      code: "environment-broken",
      message: `The new Python environment fails its self-test: ${lastWords(stderr) || `it ended with ${exitCode ?? "a signal"}`}.`,
      next: "Run it again; if it fails again, report it with the output of `npx tuneup doctor`.",
      blame: "infrastructure",
    });
  }
  const facts = selfTestFacts.parse(JSON.parse(line));
  if (facts.unusable !== undefined) throw unusableDevice(plan, facts, facts.unusable);
  return facts;
}

function unusableDevice({ device, gpus, engine }: SelfTestPlan, { torch, cuda }: SelfTestFacts, why: string): Fault {
  const driver = gpus[0] === undefined ? "" : ` (${gpus[0].name}, driver ${gpus[0].driver})`;
  const instead =
    engine === undefined
      ? "set `tuneup:compute.device` to cpu to train without the GPU"
      : "set `tuneup:serve.engine: huggingface`";
  return new Fault({
    code: device === "cuda" ? "cuda-unusable" : "environment-broken",
    property: engine === undefined ? "compute.device" : "serve.engine",
    message: `torch ${torch}${cuda === null ? "" : ` (CUDA ${cuda})`} can't use the ${device === "cuda" ? `GPU${driver}` : "CPU"}: ${why}.`,
    next: `Update the NVIDIA driver, or ${instead}.`,
    blame: "infrastructure",
  });
}

/** Known before anything is fetched: an engine compiles a part of its kernels where it serves. Throws Fault `compiler-missing`. */
export async function requireCompiler(
  engine: OwnEngine,
  { layout, python }: { readonly layout: Layout; readonly python: string },
  context: Context,
): Promise<void> {
  const probe = await pythonScript(layout, "compile_probe");
  const { exitCode, stdout } = await runAttached(python, ["-I", probe], { python, signal: context.signal });
  if (exitCode === 0) return;
  throw new Fault({
    code: "compiler-missing",
    property: "serve.engine",
    message: `${engine} compiles a part of its kernels where it serves, and nothing can be compiled there: ${lastWords(stdout)}.`,
    next: "Install a C compiler and Python's headers (Debian, Ubuntu: `apt install gcc python3-dev`; on a cluster: an image of yours that has them), or set `tuneup:serve.engine: huggingface`.",
    blame: "infrastructure",
  });
}
