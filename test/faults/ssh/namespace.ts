import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { isAlive } from "../../../agent/processes.ts";
import { until } from "../../agent/runs/harness.ts";
import { send } from "../processes.ts";
import { mountScript, type Shown } from "./mounts.ts";

/** Login name of the one user of a rig, where nothing else is said. */
export const userName = "tuneup-host";

/** A network and a mount namespace with a user of its own, joined to this machine by one wire (a veth pair). */
export interface Namespace {
  /** Folder of the rig, at the same path inside and outside; deleted with it. */
  readonly folder: string;
  /** Home of the user. */
  readonly home: string;
  readonly uid: number;
  /** Login name of the user. */
  readonly user: string;
  /** Address inside, and this machine's end of the wire. */
  readonly address: string;
  readonly gateway: string;
  /** Name of this machine's end of the wire; inside it is `eth0`. */
  readonly wire: string;
  /** The words before a command that is to run inside, as root. */
  readonly enter: readonly string[];
  /** Runs a command inside, as root or as the user; its stdout. Throws if it fails. */
  readonly inside: (words: readonly string[], as?: "root" | "user") => Promise<string>;
  /** Ids of all processes inside but the one that holds the namespace. */
  pids(): Promise<number[]>;
  /** Gives a path and what is below it to the user. */
  readonly give: (path: string) => Promise<void>;
  /** Ends every process inside. */
  killAll(): Promise<void>;
  remove(): Promise<void>;
}

/** Not below /tmp: inside that is another one. */
const parent = "/var/tmp";
const prefix = "tuneup-rig-";
/** Of 198.18.0.0/15, which is kept for measuring networks and is nobody's real one. */
const subnets = 2 ** 15;
let counter = 0;

/** What a namespace gets of this machine. */
export interface Furniture {
  /** Folders that are seen inside at another place, read-only. */
  readonly shown: readonly Shown[];
  /** Folders that everybody may read inside, whoever may enter those above them. */
  readonly reachable: readonly string[];
}

/** Why none can be made here; undefined where one can. */
export const whyNone =
  process.platform === "linux" && process.getuid?.() === 0
    ? undefined
    : "the tests over ssh make network namespaces, which needs root on Linux";

/** Who works in a namespace. */
export interface Inhabitant {
  /** Login name. */
  readonly user?: string;
  /** Default: one that no other namespace has. */
  readonly uid?: number;
}

/** A user id that no other namespace has. */
export function freshUid(): number {
  return 1_000_000 + process.pid * 64 + (counter++ % 64);
}

/** Makes one. `furnish` fills the user's home before it is given to the user. */
export async function openNamespace(
  furnish: (home: string, uid: number) => Promise<Furniture>,
  { user = userName, uid = freshUid() }: Inhabitant = {},
): Promise<Namespace> {
  if (whyNone !== undefined) throw new Error(`There is no namespace here: ${whyNone}.`);
  await sweep();
  const folder = await mkdtemp(join(parent, `${prefix}${process.pid}-`));
  const home = join(folder, "home");
  await chmod(folder, 0o755);
  for (const name of ["home", "tmp", "bin"]) await mkdir(join(folder, name));
  for (const file of ["passwd", "group"]) {
    const line = file === "passwd" ? `${user}:x:${uid}:${uid}::${home}:/bin/bash` : `${user}:x:${uid}:`;
    await writeFile(join(folder, file), `${(await readFile(`/etc/${file}`, "utf8")).trimEnd()}\n${line}\n`);
  }
  const give = async (path: string): Promise<void> => {
    await execa("chown", ["-Rh", `${uid}:${uid}`, path]);
  };
  const furniture = await furnish(home, uid);
  await give(home);
  const holder = await startHolder(folder, await mountScript(folder, furniture));
  const pid = holder.pid ?? NaN;
  const { wire, gateway, address } = await layWire(pid);
  const enter = ["nsenter", `--target=${pid}`, "--net", "--mount", "--"];
  const inside: Namespace["inside"] = async (words, as = "root") => {
    const become = as === "root" ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
    const [command = "", ...rest] = [...enter, ...become, ...words];
    return (await execa(command, rest, { env: { HOME: as === "root" ? "/root" : home } })).stdout;
  };
  const own = await readlink(`/proc/${pid}/ns/net`);
  const pids = () => pidsIn(own, pid);
  const killAll = async (): Promise<void> =>
    until(async () => {
      const left = await pids();
      for (const one of left) send(one, "SIGKILL");
      return left.length === 0;
    });
  return {
    ...{ folder, home, uid, user, address, gateway, wire, enter, inside, pids, give, killAll },
    remove: async () => {
      await killAll();
      holder.kill("SIGKILL");
      if (holder.exitCode === null && holder.signalCode === null) await once(holder, "exit");
      // The namespace goes with its last process, and this end of the wire with it.
      await removeFolder(folder);
    },
  };
}

/** The process that keeps the namespace. When this one dies, however it dies, that kills all that is inside and ends. */
async function startHolder(folder: string, mounts: string): Promise<ChildProcess> {
  const script = `${mounts}
echo ready
read -r _ || true
own=$(readlink /proc/$$/ns/net)
for try in 1 2 3; do
  for process in /proc/[0-9]*; do
    [ "$(readlink $process/ns/net 2>/dev/null)" = "$own" ] && [ "\${process#/proc/}" != $$ ] && kill -9 "\${process#/proc/}" || true
  done
done
exit 0`;
  // A file, so that its command line names none of the host's folders: whoever works there is looked for by them.
  const file = join(folder, "namespace.sh");
  await writeFile(file, script);
  const words = ["--net", "--mount", "--propagation=private", "bash", "-e", file];
  const holder = spawn("unshare", words, { stdio: ["pipe", "pipe", "pipe"], cwd: "/" });
  let said = "";
  holder.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const outcome = await Promise.race([
    once(holder.stdout, "data").then(() => "ready" as const),
    once(holder, "exit").then(() => "ended" as const),
  ]);
  if (outcome === "ended") {
    await removeFolder(folder);
    throw new Error(`The namespace of the tests over ssh could not be made: ${said}`);
  }
  holder.stdout.resume();
  // A test process that is done does not wait for it.
  holder.unref();
  return holder;
}

/** Joins the namespace of a process to this machine. The name of this end claims the subnet: two can't have it. */
async function layWire(pid: number): Promise<Pick<Namespace, "wire" | "gateway" | "address">> {
  for (let tries = 0; tries < 20; tries += 1) {
    const slot = (process.pid * 7 + counter * 101 + tries * 1009) % subnets;
    const wire = `tuneup${slot}`;
    const added = await execa("ip", ["link", "add", wire, "type", "veth", "peer", "eth0", "netns", String(pid)], {
      reject: false,
    });
    if (added.exitCode !== 0) {
      if (!added.stderr.includes("File exists")) throw new Error(`ip link add: ${added.stderr}`);
      continue;
    }
    const at = (last: number): string => `198.${18 + (slot >> 14)}.${(slot >> 6) & 255}.${((slot & 63) << 2) + last}`;
    const steps = [
      ["ip", "addr", "add", `${at(1)}/30`, "dev", wire],
      ["ip", "link", "set", wire, "up"],
      ["nsenter", `--target=${pid}`, "--net", "ip", "addr", "add", `${at(2)}/30`, "dev", "eth0"],
      ["nsenter", `--target=${pid}`, "--net", "ip", "link", "set", "eth0", "up"],
      ["nsenter", `--target=${pid}`, "--net", "ip", "link", "set", "lo", "up"],
    ];
    for (const [command = "", ...words] of steps) await execa(command, words);
    return { wire, gateway: at(1), address: at(2) };
  }
  throw new Error("No free subnet for a wire was found.");
}

/** Processes of a network namespace, but for one. */
async function pidsIn(namespace: string, but: number): Promise<number[]> {
  const all = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    all.map(async (pid) => ((await readlink(`/proc/${pid}/ns/net`).catch(() => "")) === namespace ? [pid] : [])),
  );
  return found.flat().filter((pid) => pid !== but && isAlive(pid));
}

/** Removes what a test process that was killed left. */
async function sweep(): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await removeFolder(join(parent, name));
  }
}

/** Deletes a rig's folder, after the file systems that this machine has mounted below it. */
async function removeFolder(folder: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const path of mounts.filter((mount) => mount.startsWith(`${folder}/`)).toReversed())
    await execa("umount", ["--lazy", path], { reject: false });
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Mounts a disk of a few megabytes at `path`, which both sides see: to be called before the namespace is made. */
export async function mountDisk(path: string, megabytes: number, uid: number): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const options = `size=${megabytes}m,mode=700,uid=${uid},gid=${uid}`;
  await execa("mount", ["-t", "tmpfs", "-o", options, "tuneup-rig", path]);
}
