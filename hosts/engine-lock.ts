import { readFileSync } from "node:fs";
import { engineDigest, type EngineSet } from "../agent/environment/identity.ts";
import type { OwnEngine } from "../recipe/engines.ts";

const sets = new Map<OwnEngine, EngineSet>();

/**
 * An engine with the text of its lock, as the command that makes its environment takes them: the agent, one file that has to fit into a ConfigMap,
 * does not carry these locks. Read from this package's own files once.
 */
export function engineSet(name: OwnEngine): EngineSet {
  const path = new URL(`../agent/environment/engines/${name}.lock`, import.meta.url);
  const set = sets.get(name) ?? { name, lock: readFileSync(path, "utf8") };
  sets.set(name, set);
  return set;
}

/** Digest of that lock: what the environment is. */
export function engineLock(name: OwnEngine): string {
  return engineDigest(engineSet(name).lock);
}
