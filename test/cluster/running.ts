import { readFile } from "node:fs/promises";
import { until } from "../agent/runs/harness.ts";
import type { Namespace, Program } from "./namespace.ts";
import type { PartName } from "./parts.ts";

/** The programs of a cluster, as they run. */
export interface Parts {
  start(...names: readonly PartName[]): Promise<void>;
  /** Default: SIGTERM. */
  end(name: PartName, signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Waits until something holds. Throws as `check` does. */
  wait(holds: () => boolean | Promise<boolean>): Promise<void>;
  /** Throws with the end of its log where a program has ended by itself. */
  readonly check: () => Promise<void>;
}

/** Runs each part with its words. */
export function runParts(namespace: Namespace, words: Readonly<Record<PartName, readonly string[]>>): Parts {
  const running = new Map<PartName, Program>();
  const check = async (): Promise<void> => {
    for (const [name, { alive, log }] of running)
      if (!alive()) {
        const lines = (await readFile(log, "utf8")).trim().split("\n").slice(-20);
        throw new Error(`${name} of the cluster has ended:\n${lines.join("\n")}`);
      }
  };
  return {
    start: async (...names) => {
      await Promise.all(names.map(async (name) => running.set(name, await namespace.start(name, words[name]))));
    },
    end: async (name, signal = "SIGTERM") => {
      const program = running.get(name);
      running.delete(name);
      await program?.end(signal);
    },
    check,
    wait: (holds) =>
      until(async () => {
        await check();
        return holds();
      }),
  };
}
