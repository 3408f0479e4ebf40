import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { lastWords, runAttached } from "../../agent/attached.ts";
import type { Context } from "../../agent/context.ts";
import { requirePython } from "../../agent/environment/python.ts";
import { uvVariables } from "../../agent/environment/uv-variables.ts";
import { ensureUv } from "../../agent/environment/uv.ts";
import { readRecord } from "../../agent/files.ts";
import { buildOnce, completeFile } from "../../agent/folders.ts";
import { Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";

const lockFile = fileURLToPath(new URL("webui.lock", import.meta.url));

/** Bytes on disk, measured on Linux x86-64 with Python 3.11. */
const packagesBytes = 0.2e9;

const record = z.object({ completedAt: z.string() });

/**
 * Folder of the locked packages of LlamaBoard's page, for PYTHONPATH; installed once into the data directory. They lie beside
 * the environment, never in it: what trains stays what it was. Throws Fault where they can't be installed.
 */
export async function webuiPackages(home: string, environment: string, context: Context): Promise<string> {
  const lock = createHash("sha256")
    .update(await readFile(lockFile))
    .digest("hex")
    .slice(0, 12);
  const path = `${home}/webui/packages-${lock}`;
  await buildOnce(
    {
      path,
      lock: `${layoutOf(home).locks}/webui-${lock}`,
      what: "LlamaBoard's packages",
      expectedBytes: packagesBytes,
      read: () => readRecord(`${path}/${completeFile}`, record),
      build: async (folder) => {
        await install(folder, home, environment, context);
        return { completedAt: new Date().toISOString() };
      },
    },
    context,
  );
  return path;
}

async function install(folder: string, home: string, environment: string, context: Context): Promise<void> {
  const layout = layoutOf(home);
  const uv = await ensureUv(layout, await requirePython(`${layout.tools}/python.json`), context);
  context.progress({ message: "installing gradio" });
  const words = ["--no-deps", "--require-hashes", "--target", folder, "-r", lockFile];
  const { exitCode, stderr } = await runAttached(
    uv,
    ["pip", "install", "--quiet", "--python", `${environment}/bin/python`, ...words],
    { signal: context.signal, environment: uvVariables() },
  );
  if (exitCode === 0) return;
  throw new Fault({
    code: "install-failed",
    message: `LlamaBoard's packages could not be installed: ${lastWords(stderr) || "uv gave no reason"}.`,
    next: "If PyPI can't be reached from here, set UV_DEFAULT_INDEX to a mirror; then run it again.",
    blame: "infrastructure",
  });
}
