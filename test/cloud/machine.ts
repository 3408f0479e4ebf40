import { existsSync } from "node:fs";
import { mkdir, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { environmentPython } from "../fixtures/tiny-model.ts";
import { sharedHome } from "../fixtures/home.ts";
import { type Namespace, openNamespace } from "../faults/ssh/namespace.ts";
import { makeServer, type Server } from "../faults/ssh/server.ts";
import { wireOf } from "../faults/ssh/wire.ts";
import { firstStart, guestScript } from "./guest.ts";
import { type Metadata, openMetadata } from "./metadata.ts";
import { openRelay } from "./relay.ts";
import type { Disk } from "./volumes.ts";

/** A running instance: a host of its own behind a wire, that does what its user data says. */
export interface Machine {
  /** Where its sshd listens. */
  readonly address: string;
  /** Runs a command inside, as root or as its user; its stdout. */
  inside(words: readonly string[], as?: "root" | "user"): Promise<string>;
  /** Attaches a volume: it shows up where Linux has those of EBS. */
  attach(volumeId: string, disk: Disk): Promise<void>;
  /** Lets in who has the private half of this key, for a minute. */
  admit(key: string): Promise<void>;
  /** What it wrote to its console so far. */
  console(): Promise<string>;
  /** Has it powered itself off? */
  isOff(): boolean;
  /** From now on its metadata service says that AWS takes it back; nothing where it has none. */
  notice(): void;
  /** Time goes on by so many seconds, and its timers run. */
  later(seconds: number): Promise<void>;
  /** Its power is cut. */
  end(): Promise<void>;
}

const admittedMs = 60_000;

/** What all machines of a cloud have in common. */
export interface MachineOptions {
  /** Of the user `ubuntu`, whose files on a volume outlive a machine. */
  readonly uid: number;
  /** Variables of all that the user runs. */
  readonly variables: Readonly<Record<string, string>>;
}

/** What a machine of a group has beside: its data on its root disk, and AWS within its reach. */
export interface GroupMachine {
  /** Shown at /var/lib/tuneup. */
  readonly disk: Disk;
  /** Where AWS is on this machine: a port of loopback, which is the same inside, and the socket behind it. */
  readonly aws: { readonly port: number; readonly socket: string };
}

/** Starts one with this user data; it is reachable when this ends, its first start goes on. */
export async function startMachine(
  userData: string,
  { uid, variables }: MachineOptions,
  ofGroup?: GroupMachine,
): Promise<Machine> {
  const prefix = dirname(dirname(await realpath(await environmentPython(sharedHome))));
  const reachable = prefix === "/usr" ? [] : [prefix];
  const namespace = await openNamespace(() => Promise.resolve({ shown: [], reachable }), { user: "ubuntu", uid });
  const { folder, inside, address } = namespace;
  try {
    await mkdir(join(folder, "devices"));
    await inside(["bash", "-c", guestScript(folder)]);
    const metadata = ofGroup === undefined ? undefined : await equip(namespace, ofGroup);
    const wire = wireOf(namespace);
    const { server } = await makeServer(namespace, wire, variables);
    await server.acceptOnly([]);
    await server.start();
    const first = execa(namespace.enter[0] ?? "", [...namespace.enter.slice(1), "bash", "-c", firstStart(userData)], {
      reject: false,
      cwd: "/",
    });
    return {
      ...{ address, inside, admit: admitter(server) },
      attach: (volumeId, disk) => inside(["bash", "-c", attachScript(volumeId, disk)]).then(() => undefined),
      console: () => inside(["bash", "-c", "cat /var/log/cloud-init-output.log /run/console 2>/dev/null || true"]),
      notice: () => metadata?.notice(),
      isOff: () => existsSync(join(folder, "poweroff")),
      later: async (seconds) => {
        const run = `systemctl start "\${timer%.timer}.service"`;
        const timers = `for timer in /run/timers-*; do [ -e "$timer" ] || continue; timer=\${timer#/run/timers-}; ${run}; done`;
        const path = "export PATH=/usr/local/bin:$PATH";
        await inside(["bash", "-c", `echo ${seconds} >/run/later; ${path}; ${timers}`]);
      },
      end: async () => {
        await server.stop();
        await metadata?.close();
        await namespace.remove();
        await first;
      },
    };
  } catch (thrown) {
    await namespace.remove();
    throw thrown;
  }
}

/** Gives a machine of a group its data directory, AWS's API, and the metadata service at its usual address. */
async function equip({ folder, home, inside, enter }: Namespace, { disk, aws }: GroupMachine): Promise<Metadata> {
  const metadata = await openMetadata(join(folder, "metadata.sock"));
  const rootDisk = `mkdir -p /var/lib/tuneup; mount --rbind '${disk.files}' /var/lib/tuneup`;
  // What systemd gives to every unit: there is no AWS but here, and the user's home is elsewhere.
  const variables = `export AWS_ENDPOINT_URL=http://127.0.0.1:${aws.port} TUNEUP_RESUME_HOME='${home}' no_proxy='*'`;
  const service = "ip addr add 169.254.169.254/32 dev lo";
  await inside([
    "bash",
    "-c",
    ["set -e", ...shownBy(disk), rootDisk, `echo "${variables}" >/run/variables`, service].join("\n"),
  ]);
  await openRelay(Number(/--target=(\d+)/.exec(enter.join(" "))?.[1]), [
    { host: "127.0.0.1", ...aws },
    { host: "169.254.169.254", port: 80, socket: metadata.socket },
  ]);
  return metadata;
}

/** Keys are taken for a minute each, as EC2 Instance Connect has it. */
function admitter(server: Server): (key: string) => Promise<void> {
  const admitted = new Set<{ readonly key: string }>();
  const write = (): Promise<void> => server.acceptOnly([...admitted].map(({ key }) => key));
  return async (key) => {
    const one = { key };
    admitted.add(one);
    await write();
    setTimeout(() => {
      admitted.delete(one);
      // The machine may be gone by then.
      void write().catch(() => undefined);
    }, admittedMs).unref();
  };
}

function shownBy({ environment }: Disk): string[] {
  return environment.shown.map(({ from, at }) => `mount --bind '${from}' '${at}'; mount -o remount,bind,ro '${at}'`);
}

function attachScript(volumeId: string, disk: Disk): string {
  const device = `nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`;
  return ["set -e", ...shownBy(disk), `ln -sfn '${disk.folder}/device' '/dev/disk/by-id/${device}'`].join("\n");
}
