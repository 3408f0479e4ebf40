import { chmod, copyFile, lstat, mkdir, readdir, readlink, realpath, symlink, writeFile } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { environmentPython } from "../../fixtures/tiny-model.ts";
import { sharedHome } from "../../fixtures/home.ts";
import { until } from "../../agent/runs/harness.ts";
import { type Process, processes as allProcesses } from "../processes.ts";
import { type Furniture, mountDisk, type Namespace, openNamespace, userName } from "./namespace.ts";
import { clientConfig, makeServer, type Server, type SshFiles } from "./server.ts";
import type { Shown } from "./mounts.ts";
import { type Wire, wireOf } from "./wire.ts";

/** How a rig is made. */
export interface RigOptions {
  /** Data directory on the host, below the home. Default: what an experiment has that names none. */
  readonly data?: string;
  /** Shows the shared Python environment in the data directory, so that nothing is installed. Default: true. */
  readonly environment?: boolean;
  /** Disks of so many megabytes, by their path in the data directory (`runs`); `resize` changes them. */
  readonly disks?: Readonly<Record<string, number>>;
  /** Variables of all that the user runs on the host. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Name that the client's ssh config gives the host. Default: `my-gpu`. */
  readonly alias?: string;
}

/** A machine behind a wire, as far as a product can tell: sshd, a user, a home, processes, disks. */
export interface Rig {
  readonly wire: Wire;
  readonly server: Server;
  readonly files: SshFiles;
  readonly alias: string;
  readonly address: string;
  /** This machine's end of the wire: the only address that the host reaches. */
  readonly gateway: string;
  readonly user: string;
  readonly uid: number;
  /** The user's home: the same path here and there. */
  readonly home: string;
  /** The data directory: the same path here and there. */
  readonly data: string;
  /** Variables for a client of this machine: its `ssh`, `scp` and `sftp` read the rig's config instead of the developer's. */
  readonly environment: { readonly PATH: string; readonly XDG_RUNTIME_DIR: string };
  /** Runs a shell command on the host over plain ssh; its stdout. */
  ssh(command: string): Promise<string>;
  /** Runs a command on the host without ssh, as its root or its user; its stdout. */
  readonly inside: Namespace["inside"];
  /** Processes of the user. */
  processes(): Promise<Process[]>;
  /** Processes of OpenSSH on this machine that are connected to the host or try to be. */
  clients(): Promise<Process[]>;
  /** Addresses that something on the host listens at, but for sshd's. */
  listening(): Promise<string[]>;
  /** Gives a path and what is below it to the user: after a test, which is root, has written it. */
  readonly give: Namespace["give"];
  /** Sets the size of one of `disks`. */
  resize(disk: string, megabytes: number): Promise<void>;
  /** The power is cut and comes back: every process is gone, /tmp is empty, sshd listens again. */
  reboot(): Promise<void>;
  /** Ends and deletes all of it. */
  remove(): Promise<void>;
}

/** Starts one. It takes a second; several may run at once. */
export async function openRig(options: RigOptions = {}): Promise<Rig> {
  const { data: place = ".local/share/tuneup", disks = {}, variables = {}, alias = "my-gpu" } = options;
  const namespace = await openNamespace(async (home, uid) => {
    await mkdir(join(home, place), { recursive: true, mode: 0o700 });
    for (const [disk, size] of Object.entries(disks)) await mountDisk(join(home, place, disk), size, uid);
    return options.environment === false ? { shown: [], reachable: [] } : showEnvironment(join(home, place));
  });
  try {
    return await equip(namespace, { place, variables, alias });
  } catch (thrown) {
    await namespace.remove();
    throw thrown;
  }
}

async function equip(
  namespace: Namespace,
  { place, variables, alias }: { place: string; variables: Readonly<Record<string, string>>; alias: string },
): Promise<Rig> {
  const { folder, home, uid, address, gateway, inside, give } = namespace;
  const data = join(home, place);
  const wire = wireOf(namespace);
  const { server, files } = await makeServer(namespace, wire, variables);
  await writeFile(files.clientConfig, clientConfig(namespace, files, alias));
  // Kept connections are known by the name of the host, which all rigs share: their sockets are in a folder of this rig alone.
  const sockets = join(folder, "run");
  await mkdir(sockets, { mode: 0o700 });
  const environment = { PATH: await wrapClients(join(folder, "bin"), files.clientConfig), XDG_RUNTIME_DIR: sockets };
  await server.start();
  // A dead one that nobody has asked after is none.
  const processes = async (): Promise<Process[]> => {
    const { stdout } = await execa("ps", ["-ww", "-u", String(uid), "-o", "stat=,pid=,ppid=,args="], { reject: false });
    return stdout.split("\n").flatMap((line) => {
      const [, pid = "", parent = "", words = ""] = /^\s*[^Z\s]\S*\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      return pid === "" ? [] : [{ pid: Number(pid), parent: Number(parent), words }];
    });
  };
  return {
    ...{ wire, server, files, alias, address, gateway, uid, home, data, environment, inside, give, processes },
    user: userName,
    clients: async () =>
      (await allProcesses()).filter(({ words }) => /^ssh: .*\[mux\]|ssh -F/.test(words) && words.includes(folder)),
    ssh: async (command) => {
      const words = ["-o", "BatchMode=yes", alias, command];
      return (await execa("ssh", words, { env: environment })).stdout;
    },
    listening: async () => {
      const lines = (await inside(["ss", "-Htlnu"])).split("\n").concat((await inside(["ss", "-Htln"])).split("\n"));
      const found = lines.flatMap((line) => /(\S+:\d+)\s+\S+:\*/.exec(line)?.[1] ?? []);
      return [...new Set(found)].filter((place) => place !== `${address}:22`);
    },
    resize: async (disk, megabytes) => {
      await execa("mount", ["-o", `remount,size=${megabytes}m`, join(data, disk)]);
    },
    reboot: async () => {
      await namespace.killAll();
      await inside(["find", "/tmp", "/dev/shm", "/run", "-mindepth", "1", "!", "-path", "/run/sshd", "-delete"]);
      await server.start();
    },
    remove: async () => {
      await wire.heal();
      await server.stop();
      await namespace.remove();
      // Whoever was connected notices, so that no client is left that talks to nobody.
      await until(async () => !(await wire.open(100)));
    },
  };
}

/** The shared environment in a data directory: its folders are the shared ones, only what is private there is copied. */
export async function showEnvironment(data: string): Promise<Furniture> {
  const python = await environmentPython(sharedHome);
  const from = dirname(dirname(python));
  const at = join(data, "env", basename(from));
  await mkdir(at, { recursive: true, mode: 0o700 });
  await chmod(dirname(at), 0o700);
  // The agent makes it for its own user alone; the host's user is another one.
  for (const part of ["bin", "lib", "share"]) await execa("chmod", ["-R", "a+rX", join(from, part)]);
  const shown: Shown[] = [];
  for (const name of await readdir(from)) {
    const [source, target] = [join(from, name), join(at, name)];
    const found = await lstat(source);
    if (found.isSymbolicLink()) await symlink(await readlink(source), target);
    else if (found.isDirectory()) {
      await mkdir(target);
      shown.push({ from: source, at: target });
    } else await copyFile(source, target);
  }
  const prefix = dirname(dirname(await realpath(python)));
  // The system's own is everybody's already.
  return { shown, reachable: prefix === "/usr" ? [] : [prefix] };
}

/** Puts clients that read this config in a folder; PATH with it in front. OpenSSH looks for ~/.ssh in the passwd entry alone. */
async function wrapClients(bin: string, config: string): Promise<string> {
  const path = process.env["PATH"] ?? "";
  for (const client of ["ssh", "scp", "sftp"]) {
    const { stdout } = await execa("which", [client]);
    await writeFile(join(bin, client), `#!/bin/sh\nexec ${stdout} -F '${config}' "$@"\n`, { mode: 0o755 });
  }
  return `${bin}${delimiter}${path}`;
}
