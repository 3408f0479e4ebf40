import { createHash } from "node:crypto";
import { chmod, copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { existsSync } from "node:fs";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import { asset } from "../assets.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { readRecord } from "../files.ts";
import { buildOnce, completeFile, diskFullFault, saysDiskFull } from "../folders.ts";
import { childEnvironment } from "../processes.ts";
import type { Python } from "./python.ts";
import { fileInZip } from "./zip.ts";

/** Older ones on PATH are left alone: `pip install --torch-backend` knows CUDA 13 since 0.9. */
export const leastUv = [0, 9, 0] as const;

/** The one that we install where PATH has none that is recent enough; its hashes are in uv.lock. */
export const pinnedUv = "0.13.9";

const uvRecord = z.object({ version: z.string(), source: z.string() });

/**
 * Path of a usable uv: on PATH, in `tools/`, else installed there from PyPI, or from the folder `pushed`. `python`: undefined where there is
 * none yet. Throws Fault `uv-missing`.
 */
export async function ensureUv(
  layout: Layout,
  python: Python | undefined,
  context: Context,
  pushed?: string,
): Promise<string> {
  const onPath = await uvOnPath(context);
  if (onPath !== undefined) return onPath;
  const path = `${layout.tools}/uv-${pinnedUv}`;
  await buildOnce(
    {
      path,
      lock: `${layout.locks}/uv-${pinnedUv}`,
      what: `uv ${pinnedUv}`,
      expectedBytes: 60e6,
      read: async () => (existsSync(`${path}/uv`) ? await readRecord(`${path}/${completeFile}`, uvRecord) : undefined),
      build: (folder) => install(folder, pushed === undefined ? fromIndex(python) : fromWheel(pushed), context),
    },
    context,
  );
  return `${path}/uv`;
}

async function uvOnPath(context: Context): Promise<string | undefined> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter).filter((part) => part.startsWith("/"))) {
    const path = join(folder, "uv");
    if (!existsSync(path)) continue;
    const { stdout } = await runAttached(path, ["--version"], { signal: context.signal, timeoutMs: 10_000 });
    if (isRecent(stdout)) return path;
    context.log("info", `${path} is ${stdout.trim() || "unusable"}; ${leastUv.join(".")} or newer is needed.`);
  }
  return undefined;
}

/** Is the answer of `uv --version` at least `leastUv`? */
export function isRecent(answer: string): boolean {
  const parts = /^uv (\d+)\.(\d+)\.(\d+)/.exec(answer)?.slice(1).map(Number);
  if (parts === undefined) return false;
  const index = parts.findIndex((part, at) => part !== leastUv[at]);
  return index < 0 || (parts[index] ?? 0) > (leastUv[index] ?? 0);
}

/** A way to uv: its name, and what it does. */
type UvRoute = readonly [name: string, place: (folder: string, context: Context) => Promise<void>];

const fromIndex = (python: Python | undefined): readonly UvRoute[] => [
  ...(python === undefined
    ? []
    : ([["pip", (folder, context) => byPip(folder, python, context)]] satisfies readonly UvRoute[])),
  ["index", byIndex],
];

const fromWheel = (pushed: string): readonly UvRoute[] => [["the pushed wheel", (folder) => byWheel(pushed, folder)]];

async function install(
  folder: string,
  routes: readonly UvRoute[],
  context: Context,
): Promise<z.infer<typeof uvRecord>> {
  const reasons: string[] = [];
  for (const [source, route] of routes) {
    context.progress({ message: `installing uv ${pinnedUv} (17 MB, by ${source})` });
    try {
      await route(folder, context);
      const { stdout, stderr } = await runAttached(`${folder}/uv`, ["--version"], { signal: context.signal });
      if (isRecent(stdout)) return { version: pinnedUv, source };
      throw new Error(`the installed uv does not run: ${lastWords(stderr) || stdout}`);
    } catch (thrown) {
      if (thrown instanceof Fault || !(thrown instanceof Error) || "code" in thrown) throw thrown;
      reasons.push(`by ${source}: ${thrown.message}`);
      context.log("warning", `uv could not be installed by ${source}: ${thrown.message}`);
    }
  }
  throw new Fault({
    code: "uv-missing",
    message: `uv ${leastUv.join(".")} or newer is neither on PATH nor could it be installed (${reasons.join("; ")}).`,
    next: "Install uv by hand (https://docs.astral.sh/uv/) or make PyPI or a mirror of it (PIP_INDEX_URL) reachable.",
    blame: "infrastructure",
  });
}

async function byPip(folder: string, python: Python, context: Context): Promise<void> {
  const target = `${folder}/package`;
  await writeFile(`${folder}/uv.lock`, asset("agent/environment/uv.lock"));
  const words = ["install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", target];
  const { exitCode, stderr } = await runAttached(
    python.path,
    ["-I", "-m", "pip", ...words, "--disable-pip-version-check", "-r", `${folder}/uv.lock`],
    { python: python.path, signal: context.signal },
  );
  if (exitCode !== 0) throw await reason(stderr, folder);
  await copyFile(`${target}/bin/uv`, `${folder}/uv`);
  await chmod(`${folder}/uv`, 0o700);
  await rm(target, { recursive: true });
}

async function reason(stderr: string, folder: string): Promise<Error> {
  return saysDiskFull(stderr) ? await diskFullFault(`uv ${pinnedUv}`, folder, 60e6) : new Error(lastWords(stderr));
}

const simpleIndex = z.object({
  files: z.array(z.object({ filename: z.string(), url: z.string(), hashes: z.record(z.string(), z.string()) })),
});

/** For a Python without pip (Debian's), and for none. */
async function byIndex(folder: string, context: Context): Promise<void> {
  const index = (childEnvironment()["PIP_INDEX_URL"] ?? "https://pypi.org/simple").replace(/\/$/, "");
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(120_000)]);
  const page = await get(`${index}/uv/`, signal, "application/vnd.pypi.simple.v1+json");
  const pattern = wheelPattern(process.platform, process.arch);
  const wheel = simpleIndex
    .parse(JSON.parse(page.toString("utf8")))
    .files.find(({ filename }) => pattern.test(filename));
  if (wheel === undefined) throw new Error(`no wheel of uv ${pinnedUv} for ${process.platform} ${process.arch}`);
  const bytes = await get(new URL(wheel.url, `${index}/uv/`).href, signal, "*/*");
  await unpack(wheel.filename, bytes, folder);
}

/** Of what was sent to a host without a way to an index. */
async function byWheel(pushed: string, folder: string): Promise<void> {
  const pattern = wheelPattern(process.platform, process.arch);
  const wheel = (await readdir(pushed)).find((name) => pattern.test(name));
  if (wheel === undefined) throw new Error(`no wheel of uv ${pinnedUv} in ${pushed}`);
  await unpack(wheel, await readFile(join(pushed, wheel)), folder);
}

async function unpack(filename: string, bytes: Buffer, folder: string): Promise<void> {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (!asset("agent/environment/uv.lock").includes(`sha256:${sha256}`)) {
    throw new Error(`${filename} has the hash ${sha256}, which is not the pinned one`);
  }
  const name = `uv-${pinnedUv}.data/scripts/uv`;
  const program = fileInZip(bytes, name);
  if (program === undefined) throw new Error(`${filename} has no ${name}`);
  await writeFile(`${folder}/uv`, program, { mode: 0o700 });
}

async function get(url: string, signal: AbortSignal, accept: string): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal, headers: { accept } });
    if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (thrown) {
    const { message, cause } = thrown as Error;
    throw new Error(`${message}${cause instanceof Error ? ` (${cause.message})` : ""}`, { cause: thrown });
  }
}

function wheelPattern(platform: NodeJS.Platform, arch: string): RegExp {
  const machine = arch === "arm64" ? (platform === "darwin" ? "arm64" : "aarch64") : "x86_64";
  return new RegExp(
    `^uv-${pinnedUv}-py3-none-${platform === "darwin" ? "macosx" : "(manylinux|musllinux)"}_.*${machine}\\.whl$`,
  );
}
