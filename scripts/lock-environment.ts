import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { engineNames } from "../recipe/engines.ts";
import { entriesBeyond, lockEntries, splitLock } from "./split-lock.ts";

/**
 * `npm run lock:environment`: compiles agent/environment/requirements.in into the two hash-locked files beside it, and
 * every variants/<name>.in into what it adds to them, and every engines/<name>.in into an environment of its own. `-- variants` or
 * `-- engines` compiles those alone. Needs uv on PATH and PyPI. One lock serves Python 3.11 to 3.13 on every platform (`--universal`).
 */
const folder = fileURLToPath(new URL("../agent/environment/", import.meta.url));
const header = (sources: string) => `# Compiled by \`npm run lock:environment\` from ${sources}. Do not edit.\n`;

/** The text of a lock of `sources` (paths below agent/environment), within `constraints`, without what `overrides` takes out. */
async function compile(
  sources: readonly string[],
  constraints: readonly string[],
  overrides = "overrides.txt",
): Promise<string> {
  const words = ["pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"];
  const quiet = ["--no-header", "--no-annotate", "--quiet"];
  const within = constraints.flatMap((path) => ["--constraints", path]);
  const { stdout } = await promisify(execFile)(
    "uv",
    [...words, ...quiet, ...within, "--overrides", overrides, ...sources],
    { cwd: folder, maxBuffer: 64 * 2 ** 20 },
  );
  return stdout;
}

async function writeLock(name: string, entries: readonly string[], sources: string): Promise<void> {
  const text = header(sources) + entries.join("\n") + "\n";
  await writeFile(join(folder, `${name}.lock`), text);
  console.log(`agent/environment/${name}.lock: ${entries.length} packages, ${Math.ceil(text.length / 1000)} KB`);
}

async function lockBase(): Promise<void> {
  const { base, torch } = splitLock(await compile(["requirements.in"], []));
  for (const [name, entries] of Object.entries({ base, torch })) {
    await writeLock(name, entries, "requirements.in and overrides.txt");
  }
}

/** All variants are resolved together first: any of them can be installed with any other. */
async function lockVariants(): Promise<void> {
  const sources = (await readdir(join(folder, "variants"))).filter((name) => name.endsWith(".in")).toSorted();
  const base = ["base.lock", "torch.lock"];
  const temporary = await mkdtemp(join(tmpdir(), "tuneup-lock-"));
  try {
    const together = join(temporary, "together.lock");
    const paths = sources.map((name) => `variants/${name}`);
    await writeFile(together, await compile(paths, base));
    for (const path of paths) {
      const entries = await entriesBeyond(
        await compile([path], [...base, together]),
        base.map((name) => join(folder, name)),
      );
      await writeLock(path.replace(/\.in$/, ""), entries, path);
    }
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** An engine shares no process with the trainer, so that nothing of the base binds it. */
async function lockEngines(): Promise<void> {
  const overrides = "engines/overrides.txt";
  for (const name of engineNames) {
    const entries = lockEntries(await compile([`engines/${name}.in`], [], overrides));
    await writeLock(`engines/${name}`, entries, `engines/${name}.in and ${overrides}`);
  }
}

const parts = { base: lockBase, variants: lockVariants, engines: lockEngines };
const [only] = process.argv.slice(2);
if (only !== undefined && !(only in parts)) throw new Error(`Parts are ${Object.keys(parts).join(", ")}; got ${only}.`);
for (const [name, lock] of Object.entries(parts)) if (only === undefined || name === only) await lock();
