import { readFile } from "node:fs/promises";
import { writeAtomically } from "./files.ts";
import { agentPath } from "./processes.ts";

/** Keeps a copy of this agent at `path`, for a Pod that is to run it: a later release changes nothing of what is declared. */
export async function keepAgent(path: string): Promise<void> {
  const own = await readFile(agentPath(), "utf8");
  if ((await readFile(path, "utf8").catch(() => undefined)) !== own) await writeAtomically(path, own);
}
