import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { withLock } from "../lock.ts";
import { diskFullFault, saysDiskFull } from "../folders.ts";
import { childEnvironment } from "../processes.ts";
import { findPython, type Python, pythonMissing } from "./python.ts";
import { ensureUv } from "./uv.ts";
import { uvVariables } from "./uv-variables.ts";

/** The Python that we bring where there is none: the oldest uv that we take knows it, and checks it by the hash that it knows. */
export const pinnedPython = "3.12.11";

/** Bytes that it takes when it is unpacked. */
const pythonBytes = 110e6;

/**
 * This host's best Python, else one that uv installs in the data directory's tools/ (from python-build-standalone, or the mirror that
 * UV_PYTHON_INSTALL_MIRROR names). `pushed`: packages that were sent to a host without a way to an index: none is installed there.
 * Throws Fault `python-missing`, `disk-full`.
 */
export async function ensurePython(layout: Layout, context: Context, pushed?: string): Promise<Python> {
  const memory = `${layout.tools}/python.json`;
  const found = await findPython(memory);
  if (found !== null) return found;
  if (pushed !== undefined) throw pythonMissing();
  return withLock(
    `${layout.locks}/python`,
    async () => {
      // uv puts it in its place whole.
      const meanwhile = await findPython(memory);
      if (meanwhile === null) await install(layout, context);
      const python = meanwhile ?? (await findPython(memory));
      if (python === null) throw pythonMissing("what uv installed does not run");
      return python;
    },
    {
      signal: context.signal,
      onWait: () => context.progress({ message: "waiting: another tuneup installs Python" }),
    },
  );
}

async function install(layout: Layout, context: Context): Promise<void> {
  const uv = await ensureUv(layout, undefined, context).catch((thrown: unknown) => {
    throw thrown instanceof Fault && thrown.code === "uv-missing" ? pythonMissing(thrown.message) : thrown;
  });
  context.progress({ message: `installing Python ${pinnedPython} (30 MB)` });
  const words = [
    "python",
    "install",
    pinnedPython,
    "--install-dir",
    `${layout.tools}/python`,
    "--no-bin",
    "--no-progress",
  ];
  const { exitCode, stderr } = await runAttached(uv, words, {
    signal: context.signal,
    environment: uvVariables(childEnvironment()),
  });
  if (exitCode === 0) return;
  if (saysDiskFull(stderr)) throw await diskFullFault(`Python ${pinnedPython}`, layout.tools, pythonBytes);
  throw pythonMissing(`uv could not install Python ${pinnedPython}: ${lastWords(stderr) || "it gave no reason"}`);
}
