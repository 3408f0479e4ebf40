import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { Layout } from "../recipe/layout.ts";
import { asset } from "./assets.ts";
import { writeAtomically } from "./files.ts";

/** Path of a copy of `agent/python/<name>.py` that Python can run, also where the agent is one bundled file. */
export async function pythonScript(layout: Layout, name: string): Promise<string> {
  const path = pythonScriptPath(layout, name);
  if (!existsSync(path)) await writeAtomically(path, asset(`agent/python/${name}.py`));
  return path;
}

/** Where that copy is, or will be. */
export function pythonScriptPath(layout: Layout, name: string): string {
  const digest = createHash("sha256")
    .update(asset(`agent/python/${name}.py`))
    .digest("hex");
  return `${layout.tools}/python/${name}-${digest.slice(0, 12)}.py`;
}
