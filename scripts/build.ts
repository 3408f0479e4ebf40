import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildOptions, BuildResult } from "esbuild";
import { Fault } from "../recipe/fault.ts";
import { carryAssets, englishOnly, zodByParts } from "./bundle-plugins.ts";

/** `path`: dist/agent.mjs, absolute. `sha256` of its bytes, hex. `built`: false if nothing had changed. */
export interface BuiltAgent {
  readonly path: string;
  readonly sha256: string;
  readonly built: boolean;
}

/** A ConfigMap holds 1 MiB of text, cloud-init's user data far less: what is larger can't travel everywhere. */
const bundleLimit = 900_000;

const checkout = fileURLToPath(new URL("..", import.meta.url));

/** Folders (and file endings) whose texts the agent carries; paths are as `asset()` takes them. */
const assetFolders = [
  ["agent/python", ".py"],
  ["agent/environment", ".lock"],
  ["agent/environment/variants", ".lock"],
] as const;

/** What decides how a bundle is made: another version of it makes another bundle. */
const builders = ["scripts/build.ts", "scripts/bundle-plugins.ts"];

interface BuildRecord {
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly sha256: string;
}

/**
 * Bundles the pages to dist/web/ and the agent, with every text that it needs, to dist/agent.mjs. Files are replaced
 * atomically. If no input has changed since the last build (by modification time and size) nothing is done, and
 * esbuild is not even loaded. `root`: the checkout. Throws Fault `build-failed` or `agent-too-large`.
 */
export async function buildAgent(root: string = checkout): Promise<BuiltAgent> {
  const dist = join(root, "dist");
  const path = join(dist, "agent.mjs");
  const assets = await assetPaths(root);
  const known = await readBuildRecord(join(dist, "build.json"));
  if (known !== undefined && isFresh(root, known, assets)) return { path, sha256: known.sha256, built: false };

  const start = Date.now();
  const web = await bundleWeb(root);
  const texts: Record<string, string> = { ...web.files };
  for (const name of assets) texts[name] = await readText(root, name);
  const agent = await bundle(agentOptions(root, texts));
  const code = agent.outputFiles[0]?.contents ?? new Uint8Array();
  requireCarried(root, agent, new Set(Object.keys(texts)));
  if (code.byteLength > bundleLimit) {
    throw new Fault({
      code: "agent-too-large",
      message: `The agent's bundle has ${code.byteLength} bytes; at most ${bundleLimit} fit into a ConfigMap with its overhead.`,
      next: "See what grew with `npx esbuild --analyze agent/main.ts --bundle --platform=node --outfile=/dev/null`.",
      blame: "bug",
    });
  }
  const outputs = [
    ...Object.entries(web.files).map(([name, text]) => [join(dist, name), text] as const),
    [path, code] as const,
  ];
  for (const [file, content] of outputs) await replace(file, content);
  const sha256 = createHash("sha256").update(code).digest("hex");
  const inputs = [...new Set([...assets, ...web.inputs, ...inputsOf(root, agent), ...builders, "package-lock.json"])];
  const record: BuildRecord = {
    // What was changed while we read it may be in the bundle or not: it never counts as seen.
    inputs: Object.fromEntries(inputs.map((name) => [name, stamp(join(root, name), start)])),
    outputs: Object.fromEntries(outputs.map(([file]) => [relative(root, file), stamp(file)])),
    sha256,
  };
  await replace(join(dist, "build.json"), `${JSON.stringify(record, null, 1)}\n`);
  return { path, sha256, built: true };
}

function isFresh(root: string, record: BuildRecord, assets: readonly string[]): boolean {
  const same = ([name, seen]: readonly [string, string]): boolean => stamp(join(root, name)) === seen;
  return (
    assets.every((name) => name in record.inputs) &&
    Object.entries(record.outputs).every(same) &&
    Object.entries(record.inputs).every(same)
  );
}

/** Modification time and size; a missing file has a stamp of its own, one that changed after `start` none. */
function stamp(path: string, start = Infinity): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined && stats.mtimeMs >= start) return "changing";
  return stats === undefined ? "missing" : `${stats.mtimeMs} ${stats.size}`;
}

async function readBuildRecord(path: string): Promise<BuildRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(path, "utf8")) as BuildRecord;
    return typeof record.sha256 === "string" && "inputs" in record && "outputs" in record ? record : undefined;
  } catch {
    return undefined;
  }
}

async function assetPaths(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const [folder, ending] of assetFolders) {
    const names = existsSync(join(root, folder)) ? await readdir(join(root, folder)) : [];
    found.push(...names.filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name}`));
  }
  return found.sort();
}

function readText(root: string, name: string): Promise<string> {
  return readFile(join(root, name), "utf8");
}

/** The pages: one script, one style sheet, and the page that names both by their content, so that no cache serves an old one. */
async function bundleWeb(root: string): Promise<{ files: Record<string, string>; inputs: string[] }> {
  const result = await bundle({
    absWorkingDir: root,
    entryPoints: { app: "web/app.ts", style: "web/style.css" },
    outdir: "web",
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    legalComments: "none",
    tsconfigRaw: {},
  });
  const text = (ending: string): string => result.outputFiles.find((file) => file.path.endsWith(ending))?.text ?? "";
  const script = text(".js");
  const style = text(".css");
  const version = (content: string): string => createHash("sha256").update(content).digest("hex").slice(0, 12);
  const page = (await readText(root, "web/index.html"))
    .replace("assets/app.js", `assets/app.js?v=${version(script)}`)
    .replace("assets/app.css", `assets/app.css?v=${version(style)}`);
  return {
    files: { "web/index.html": page, "web/app.js": script, "web/app.css": style },
    inputs: ["web/index.html", ...inputsOf(root, result)],
  };
}

function agentOptions(root: string, texts: Readonly<Record<string, string>>): BuildOptions {
  return {
    absWorkingDir: root,
    entryPoints: ["agent/main.ts"],
    outfile: "agent.mjs",
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    // Functions keep their names and lines stay short, for stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    minifyIdentifiers: true,
    keepNames: true,

    lineLimit: 160,
    // Its ES modules: of the others nothing can be left out, and only what writes YAML is used.
    alias: { yaml: join(root, "node_modules/yaml/browser/dist/index.js") },
    legalComments: "none",
    charset: "utf8",
    tsconfigRaw: {},
    // Packages in CommonJS ask for Node's own modules with require.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    plugins: [carryAssets(root, texts), englishOnly, zodByParts],
  };
}

async function bundle(options: BuildOptions): Promise<BuildResult<{ write: false; metafile: true }>> {
  const esbuild = await import("esbuild");
  try {
    return await esbuild.build({ ...options, write: false, metafile: true, logLevel: "silent" });
  } catch (thrown) {
    const errors = (thrown as { errors?: { text: string; location?: { file: string; line: number } | null }[] }).errors;
    if (errors === undefined) throw thrown;
    const lines = errors.map(({ text, location }) => (location ? `${location.file}:${location.line}: ${text}` : text));
    throw new Fault({ code: "build-failed", message: lines.join("\n"), blame: "bug" }, { cause: thrown });
  }
}

/** Paths of what went in, relative to `root`. */
function inputsOf(root: string, result: BuildResult<{ metafile: true }>): string[] {
  return Object.keys(result.metafile.inputs).filter((name) => existsSync(join(root, name)));
}

/** Every text that the agent names by a literal must be carried: a missing one would be found on the host only. */
function requireCarried(root: string, result: BuildResult<{ metafile: true }>, carried: ReadonlySet<string>): void {
  const sources = inputsOf(root, result).filter((name) => name.startsWith("agent/"));
  for (const source of sources) {
    for (const [, name = ""] of readFileSync(join(root, source), "utf8").matchAll(/\basset\(\s*"([^"]+)"/g)) {
      if (carried.has(name)) continue;
      throw new Fault({
        code: "build-failed",
        message: `${source} reads the asset ${name}, which the bundle does not carry.`,
        next: `Carried are ${[...carried].join(", ")}; scripts/build.ts says which folders.`,
        blame: "bug",
      });
    }
  }
}

async function replace(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const start = performance.now();
  try {
    const { path, built } = await buildAgent();
    const size = (statSync(path).size / 1000).toFixed(0);
    const took = (performance.now() - start).toFixed(0);
    process.stdout.write(
      `${relative(process.cwd(), path)}: ${size} kB, ${built ? `built in ${took} ms` : "up to date"}\n`,
    );
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    process.stderr.write(`${thrown.sentence}\n`);
    process.exitCode = 1;
  }
}
