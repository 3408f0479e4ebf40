import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { freemem } from "node:os";
import { promisify } from "node:util";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { childEnvironment } from "../processes.ts";

/** Left to the system and the gateway when a second engine is weighed: 512 MiB. */
const reserveBytes = 512 * 1024 ** 2;

/** Why `base` is not served beside the experiment's model; undefined where it is. */
export function whyNoBase(
  spec: Pick<EndpointSpec, "base" | "engineBytes">,
  freeBytes: number,
  device: string,
): string | undefined {
  if (spec.base === "yes") return undefined;
  if (spec.base === "no") return "`serve.base` is false.";
  const needed = 2 * spec.engineBytes + reserveBytes;
  if (freeBytes >= needed) return undefined;
  return (
    `two engines need ${gigabytes(needed)} of ${device} memory (estimated) and ${gigabytes(freeBytes)} are free; ` +
    "serve.base: true serves it all the same."
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Memory that new processes can take: of the GPU, or of the machine within its control group's limit. */
export async function freeMemory(device: EndpointSpec["device"]): Promise<number> {
  if (device === "cuda") return freeGpuMemory();
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(await textOf("/proc/meminfo"))?.[1];
  const machine = available === undefined ? freemem() : Number(available) * 1024;
  return Math.min(machine, await freeInControlGroup());
}

async function freeGpuMemory(): Promise<number> {
  const query = ["--query-gpu=memory.free", "--format=csv,noheader,nounits"];
  try {
    const { stdout } = await promisify(execFile)("nvidia-smi", query, { env: childEnvironment(), timeout: 10_000 });
    // One engine lives on one GPU unless told otherwise: what the emptiest one has counts.
    return Math.max(0, ...stdout.split("\n").map((line) => (Number(line.trim()) || 0) * 1024 ** 2));
  } catch {
    return 0;
  }
}

/** Limit minus use of our control group, v2 or v1; page cache that can be dropped counts as free. */
async function freeInControlGroup(): Promise<number> {
  const own = /^0::(.*)$/m.exec(await textOf("/proc/self/cgroup"))?.[1] ?? "/";
  const groups = [
    { folder: `/sys/fs/cgroup${own === "/" ? "" : own}`, limit: "memory.max", use: "memory.current" },
    { folder: "/sys/fs/cgroup", limit: "memory.max", use: "memory.current" },
    { folder: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes" },
  ];
  const free = await Promise.all(
    groups.map(async ({ folder, limit, use }) => {
      const most = Number.parseInt(await textOf(`${folder}/${limit}`), 10);
      const used = Number.parseInt(await textOf(`${folder}/${use}`), 10);
      if (Number.isNaN(most) || Number.isNaN(used)) return Infinity;
      const cache = /^(?:total_)?inactive_file (\d+)/m.exec(await textOf(`${folder}/memory.stat`))?.[1];
      return Math.max(0, most - used + Number(cache ?? 0));
    }),
  );
  return Math.min(...free);
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return "";
  }
}
