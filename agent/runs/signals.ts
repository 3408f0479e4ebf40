import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isLocked } from "../lock.ts";
import type { RunPaths } from "./paths.ts";
import { signalGroup } from "./trainer.ts";

/** Sends a signal to the trainer that holds the run's lock, if there is one. SIGKILL reaches its workers too. */
export async function signalTrainer(paths: RunPaths, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const pid = await pidIn(paths.trainerPid);
  if (pid === undefined || !isLocked(paths.trainerLock)) return;
  if (signal === "SIGKILL") signalGroup(pid, signal);
  else sendSignal(pid, signal);
}

/** The process id in the first line of a file; undefined if there is none. */
export async function pidIn(path: string): Promise<number | undefined> {
  const pid = Number((await linesIn(path))[0] ?? "0");
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

/** The boot in the second line of a file; undefined if there is none. */
export async function bootIn(path: string): Promise<string | undefined> {
  return (await linesIn(path))[1] || undefined;
}

/** What names this boot of the machine, where the kernel tells (Linux). */
export function bootNow(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

async function linesIn(path: string): Promise<string[]> {
  return (await readFile(path, "utf8").catch(() => "")).split("\n");
}

/** Sends a signal to a process that may be gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone, which is what we want.
  }
}
