import { readFile } from "node:fs/promises";

/** How many processes the kernel has killed for want of memory since it started, containers' limits included. Linux tells. */
export async function oomKills(): Promise<number | undefined> {
  const text = await readFile("/proc/vmstat", "utf8").catch(() => "");
  const count = Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? NaN);
  return Number.isNaN(count) ? undefined : count;
}
