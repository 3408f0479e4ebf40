import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { isAlive } from "../../agent/processes.ts";
import { until } from "../agent/runs/harness.ts";
import { send } from "../faults/processes.ts";

/** Network, mount, host name and process namespaces of one cluster, seen from this machine. */
export interface Namespace {
  /** Folder of the cluster, at the same path inside and outside; deleted with it. */
  readonly folder: string;
  /** What its programs said, one file each. */
  readonly logs: string;
  /** Name of its groups below /sys/fs/cgroup. */
  readonly group: string;
  /** Id of its first process, as this machine sees it. */
  readonly pid: number;
  /** The words before a command that is to run in its network alone: files, users and processes stay this machine's. */
  readonly enter: readonly string[];
  /** Runs a command in all of its namespaces; its stdout. Throws if it fails. */
  readonly run: (words: readonly string[]) => Promise<string>;
  /** Starts a program that goes on until it is ended. `network: "here"`: in this machine's network, and still gone with the cluster. */
  start(name: string, words: readonly string[], options?: { readonly network?: "inside" | "here" }): Promise<Program>;
  /** Ends all processes inside and removes folder and groups. */
  remove(): Promise<void>;
}

/** A program of a cluster that runs. */
export interface Program {
  /** As this machine sees it. */
  readonly pid: number;
  /** Path of what it said, all starts of it. */
  readonly log: string;
  /** Is it still running? */
  readonly alive: () => boolean;
  /** Sends a signal that ends it, and waits for its end. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Not below /tmp: inside, that is a layer over this machine's, and a container's file system can't lie on one. */
const parent = "/var/tmp";
const prefix = "tuneup-cluster-";
const holder = fileURLToPath(new URL("holder.sh", import.meta.url));
const first = fileURLToPath(new URL("node.sh", import.meta.url));

/** Makes one. When this process is gone, however it goes, the kernel closes the pipe that keeps it, and it goes too. */
export async function openNamespace(name: string, packages: string): Promise<Namespace> {
  await sweep();
  const folder = await mkdtemp(join(parent, `${prefix}${process.pid}-${name}-`));
  await chmod(folder, 0o755);
  const logs = join(folder, "logs");
  await mkdir(logs);
  const group = folder.slice(parent.length + 1);
  const environment = { ...programEnvironment(packages), WORK: folder, PACKAGES: packages, GROUP: group, NODE: "node" };
  const keeper = spawn("bash", [holder, first], { detached: true, stdio: ["pipe", "pipe", "pipe"], env: environment });
  const pid = await readyOf(keeper);
  const all = [`--target=${pid}`, "--mount", "--uts", "--pid"];
  return {
    ...{ folder, logs, group, pid },
    enter: ["nsenter", `--target=${pid}`, "--net", "--"],
    run: async (words) => (await execa("nsenter", [...all, "--net", "--", ...words], { env: environment })).stdout,
    start: async (program, words, { network = "inside" } = {}) => {
      const log = join(logs, `${program}.log`);
      const output = await open(log, "a", 0o600);
      const entered = [...all, ...(network === "inside" ? ["--net"] : []), "--", ...words];
      // In a session of its own: Ctrl-C in a terminal is for the tests, and those end it in order.
      const child = spawn("nsenter", entered, {
        ...{ detached: true, env: environment, cwd: folder },
        stdio: ["ignore", output.fd, output.fd],
      });
      await output.close();
      child.unref();
      return await programOf(child, log);
    },
    remove: async () => {
      keeper.ref();
      keeper.stdin.end();
      if (keeper.exitCode === null && keeper.signalCode === null) await once(keeper, "exit");
      await removeLeftovers(folder, group);
    },
  };
}

/** The libraries of the unpacked packages are for their programs. */
function programEnvironment(packages: string): Record<string, string> {
  const libraries = process.arch === "x64" ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
  const folders = ["usr/sbin", "usr/bin", "sbin", "bin"].map((folder) => join(packages, folder));
  return {
    PATH: [...folders, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].join(":"),
    HOME: "/root",
    LD_LIBRARY_PATH: [join(packages, "usr/lib", libraries), join(packages, "lib", libraries)].join(":"),
    XTABLES_LIBDIR: join(packages, "usr/lib", libraries, "xtables"),
  };
}

/** Waits for the first process's id. Throws with what was said where there is none. */
async function readyOf(keeper: ChildProcess): Promise<number> {
  let said = "";
  keeper.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const lines = createInterface({ input: keeper.stdout! });
  const line = await Promise.race([
    once(lines, "line").then(([text]) => String(text)),
    once(keeper, "close").then(() => undefined),
  ]);
  const pid = /^ready (\d+)$/.exec(line ?? "")?.[1];
  if (pid === undefined) throw new Error(`The namespaces of a cluster could not be made: ${said.trim()}`);
  // A test process that is done does not wait for it.
  for (const part of [keeper, keeper.stdin, keeper.stdout, keeper.stderr])
    (part as { unref?: () => void } | null)?.unref?.();
  return Number(pid);
}

/** nsenter stays outside and waits for its one child, the program. */
async function programOf(nsenter: ChildProcess, log: string): Promise<Program> {
  const children = `/proc/${nsenter.pid ?? NaN}/task/${nsenter.pid ?? NaN}/children`;
  const alive = () => nsenter.exitCode === null && nsenter.signalCode === null;
  let pid = NaN;
  await until(async () => {
    if (!alive()) throw new Error(`A program of the cluster ended as it started: ${await readFile(log, "utf8")}`);
    pid = Number.parseInt(await readFile(children, "utf8").catch(() => ""), 10);
    return !Number.isNaN(pid);
  });
  return {
    ...{ pid, log, alive },
    end: async (signal) => {
      nsenter.ref();
      send(pid, signal);
      if (alive()) await once(nsenter, "exit");
    },
  };
}

/** Removes what a holder that was killed itself left. */
async function sweep(): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await removeLeftovers(join(parent, name), name);
  }
}

async function removeLeftovers(folder: string, group: string): Promise<void> {
  const root = "/sys/fs/cgroup";
  for (const place of ["", ...(await readdir(root))])
    await execa("find", [join(root, place, group), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], {
      reject: false,
    });
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
