import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isLocked } from "../lock.ts";
import { identityOf } from "../process-identity.ts";
import type { RunPaths } from "./paths.ts";
import { signalGroup } from "./trainer.ts";

/** Sends a signal to the trainer that holds the run's lock, if there is one. SIGKILL reaches its workers too. */
export async function signalTrainer(paths: RunPaths, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (isLocked(paths.trainerLock)) await signalRecorded(paths.trainerPid, signal, signal === "SIGKILL");
}

/** What `signalRecorded` knows this process by: its id, the boot that it lives in, when in it it was started; a line each. */
export function ownRecord(): string {
  return `${process.pid}\n${bootNow() ?? ""}\n${identityOf(process.pid)?.startedAt ?? ""}\n`;
}

/**
 * Sends a signal to the process of a record, or to its group. A lock is held before the record is written: until then the record tells of
 * somebody before, whose id may be another process's by now. Records of older releases, and where the kernel does not tell, have the id
 * alone. Returns false if that very process is not there.
 */
export async function signalRecorded(path: string, signal: "SIGTERM" | "SIGKILL", group = false): Promise<boolean> {
  const [pid, [, boot = "", startedAt = ""]] = [await pidIn(path), await linesIn(path)];
  if (pid === undefined || (boot !== "" && boot !== bootNow())) return false;
  const found = identityOf(pid);
  if (found === undefined || (startedAt !== "" && startedAt !== found.startedAt)) return false;
  if (group) signalGroup(pid, signal);
  else sendSignal(pid, signal);
  return true;
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
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone, which is what we want.
  }
}
