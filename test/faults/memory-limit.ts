import { existsSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { isAlive } from "../../agent/processes.ts";
import { until } from "../agent/runs/harness.ts";
import { send } from "./processes.ts";

/** Less than one step of any trainer takes anew. */
const limit = "1048576";

/** The kernel's two ways to limit the memory of a group of processes. */
const ways = [
  { root: "/sys/fs/cgroup/memory", file: "memory.limit_in_bytes", there: "/sys/fs/cgroup/memory/cgroup.procs" },
  { root: "/sys/fs/cgroup", file: "memory.max", there: "/sys/fs/cgroup/cgroup.controllers" },
] as const;

/**
 * Lets a stopped process go on without memory, so that the kernel kills it. False, and nothing was done, where no such group can be
 * made (a container without that right).
 */
export async function runOutOfMemory(pid: number): Promise<boolean> {
  const way = ways.find(({ there }) => existsSync(there));
  if (way === undefined) return false;
  const group = `${way.root}/tuneup-test-${process.pid}`;
  try {
    if (way.file === "memory.max") await writeFile(`${way.root}/cgroup.subtree_control`, "+memory");
    await mkdir(group);
    await writeFile(`${group}/${way.file}`, limit);
    await writeFile(`${group}/cgroup.procs`, String(pid));
  } catch {
    await rmdir(group).catch(() => undefined);
    return false;
  }
  send(pid, "SIGCONT");
  await until(() => !isAlive(pid));
  await until(() =>
    rmdir(group).then(
      () => true,
      () => false,
    ),
  );
  return true;
}

/** Processes that the kernel has killed for want of memory since it started. */
export async function memoryKills(): Promise<number> {
  return Number(/^oom_kill (\d+)$/m.exec(await readFile("/proc/vmstat", "utf8"))?.[1] ?? NaN);
}
