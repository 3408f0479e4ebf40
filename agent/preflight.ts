import { readFileSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { arch, availableParallelism, freemem, platform, totalmem } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { layoutOf, type Layout } from "../recipe/layout.ts";
import { endpointStatus } from "../recipe/lifecycle.ts";
import type { CommandInput, Handler } from "./context.ts";
import { deviceOf, findEnvironment } from "./environment/read.ts";
import { findGpus } from "./environment/gpus.ts";
import { environmentLock } from "./environment/identity.ts";
import { findPython } from "./environment/python.ts";
import { makeFolder, readRecord } from "./files.ts";
import { freeBytes } from "./folders.ts";
import { isLocked } from "./lock.ts";

/** Facts of this host that decide whether an experiment can run here. Changes nothing but for the data directory, which it creates. */
export const preflight: Handler<"preflight"> = async ({ dataDirectory, port, extras, engineLock }) => {
  const layout = layoutOf(dataDirectory);
  const unwritable = await whyUnwritable(dataDirectory);
  const [python, found, portState, diskFreeBytes] = await Promise.all([
    findPython(unwritable === undefined ? `${layout.tools}/python.json` : undefined),
    findGpus(),
    port === undefined ? undefined : statePort(layout, port),
    freeBytes(dataDirectory).catch(() => 0),
  ]);
  const { gpus, trouble } = found;
  const lock = environmentLock(extras);
  const environment = await findEnvironment(layout, lock, deviceOf(found)).catch(() => null);
  const engine = engineLock === undefined ? undefined : findEnvironment(layout, engineLock, "cuda").catch(() => null);
  return {
    platform: platform(),
    arch: arch(),
    cores: availableParallelism(),
    ...memory(),
    diskFreeBytes,
    ...(unwritable === undefined ? {} : { unwritable }),
    python,
    gpus: gpus.map(({ name, memoryBytes, driver }) => ({ name, memoryBytes, driver })),
    ...(trouble === undefined ? {} : { driverTrouble: trouble }),
    ...(portState === undefined ? {} : { port: portState }),
    environment: environment?.record ?? null,
    ...(engine === undefined ? {} : { engineEnvironment: (await engine)?.record ?? null }),
  };
};

/** Why no file can be made in `folder`, in words; undefined if one can. Creates the folder. */
export async function whyUnwritable(folder: string): Promise<string | undefined> {
  const probe = join(folder, `.writable-${randomBytes(4).toString("hex")}`);
  try {
    await makeFolder(folder);
    await writeFile(probe, "tuneup\n", { mode: 0o600 });
    return undefined;
  } catch (thrown) {
    return await inWords(thrown as NodeJS.ErrnoException, folder);
  } finally {
    await rm(probe, { force: true }).catch(() => undefined);
  }
}

async function inWords({ code, message, path }: NodeJS.ErrnoException, folder: string): Promise<string> {
  const kind = await stat(folder).then(
    (stats) => (stats.isDirectory() ? "folder" : "file"),
    () => "missing",
  );
  switch (code) {
    case "EEXIST":
    case "ENOTDIR":
      return kind === "file" ? `${folder} is a file, not a folder` : `a part of the path ${folder} is not a folder`;
    case "EACCES":
    case "EPERM":
      return kind === "folder"
        ? `no permission to write in ${folder}`
        : `no permission to create ${folder} (at ${path ?? folder})`;
    case "EROFS":
      return `${folder} is on a read-only file system`;
    case "ENOSPC":
    case "EDQUOT":
      return `the disk of ${folder} is full`;
    case "ENAMETOOLONG":
      return `the path ${folder} is too long`;
    case "ENOENT":
      return `${folder} can't be created here (its file system does not allow new folders)`;
    default:
      return message;
  }
}

/** Memory of this host, or of the control group that we are confined to. */
function memory(): { memoryBytes: number; memoryFreeBytes: number } {
  const limit = process.constrainedMemory();
  const total = totalmem();
  if (limit <= 0 || limit >= total) return { memoryBytes: total, memoryFreeBytes: freemem() };
  // The group's use counts files that the kernel would drop at need.
  const free = process.availableMemory() + reclaimable();
  return { memoryBytes: limit, memoryFreeBytes: Math.min(freemem(), limit, free) };
}

function reclaimable(): number {
  try {
    const group = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
    const stats = readFileSync(join("/sys/fs/cgroup", group, "memory.stat"), "utf8");
    return Number(/^inactive_file (\d+)$/m.exec(stats)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

type PortQuestion = NonNullable<CommandInput<"preflight">["port"]>;

async function statePort(layout: Layout, { host, port, experiment }: PortQuestion): Promise<"free" | "ours" | "taken"> {
  if (port === 0 || (await canBind(host, port))) return "free";
  const endpoint = layout.endpoint(experiment);
  const status = await readRecord(endpoint.status, endpointStatus);
  return status?.port === port && isLocked(endpoint.lock) ? "ours" : "taken";
}

function canBind(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
