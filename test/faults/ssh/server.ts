import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { until } from "../../agent/runs/harness.ts";
import type { Namespace } from "./namespace.ts";
import type { Wire } from "./wire.ts";

/** The sshd of a rig. */
export interface Server {
  /** Starts to listen; throws with its log if it can't. */
  start(): Promise<void>;
  /** Ends the listener. Connections that are open live on. */
  stop(): Promise<void>;
  /** What it has logged. */
  log(): Promise<string>;
  /** From the next connection on the host shows another key; returns the fingerprint of the new one. */
  changeHostKey(): Promise<string>;
  /** Fingerprint of the key that it shows. */
  fingerprint(): Promise<string>;
  /** Writes the key that it shows into the client's known_hosts. */
  acceptHostKey(): Promise<void>;
  /** From the next login on the user's key is not taken. */
  refuseKey(): Promise<void>;
  /** From the next login on it is. */
  acceptKey(): Promise<void>;
  /** From the next login on these keys are taken, lines of public keys, and no others. */
  acceptOnly(keys: readonly string[]): Promise<void>;
}

/** Files of a rig's ssh, on both sides. */
export interface SshFiles {
  readonly clientKey: string;
  readonly knownHosts: string;
  readonly clientConfig: string;
}

/** Absolute: sshd starts itself anew for each connection. */
const sshd = "/usr/sbin/sshd";

/** Makes keys and config of an sshd in the namespace. `variables` are in the environment of all that the user runs. */
export async function makeServer(
  namespace: Namespace,
  wire: Wire,
  variables: Readonly<Record<string, string>>,
): Promise<{ readonly server: Server; readonly files: SshFiles }> {
  const at = (name: string): string => join(namespace.folder, name);
  const [hostKey, clientKey, log, authorized] = [
    at("host_key"),
    at("client_key"),
    at("sshd.log"),
    at("authorized_keys"),
  ];
  const makeKey = async (path: string): Promise<void> => {
    await Promise.all([path, `${path}.pub`].map((file) => rm(file, { force: true })));
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "tuneup-test", "-f", path]);
  };
  await Promise.all([makeKey(hostKey), makeKey(clientKey)]);
  const accept = async (): Promise<void> => writeFile(authorized, await readFile(`${clientKey}.pub`));
  await accept();
  await writeFile(at("sshd_config"), serverConfig(namespace, hostKey, authorized, variables));
  let listener: ReturnType<typeof spawn> | undefined;
  const stop = async (): Promise<void> => {
    if (listener === undefined || listener.exitCode !== null || listener.signalCode !== null) return;
    listener.kill("SIGKILL");
    await once(listener, "exit");
  };
  const start = async (): Promise<void> => {
    const [command = "", ...enter] = namespace.enter;
    const file = await open(log, "a");
    const child = spawn(command, [...enter, sshd, "-D", "-e", "-f", at("sshd_config")], {
      ...{ stdio: ["ignore", file.fd, file.fd], cwd: "/", env: { PATH: process.env["PATH"] } },
    });
    await file.close();
    listener = child;
    await until(async () => (await wire.open()) || child.exitCode !== null);
    if (child.exitCode !== null) throw new Error(`sshd ended: ${await readFile(log, "utf8")}`);
  };
  const fingerprint = async (): Promise<string> =>
    (await execa("ssh-keygen", ["-l", "-f", `${hostKey}.pub`])).stdout.split(" ")[1] ?? "";
  const server: Server = {
    ...{ start, stop, fingerprint },
    log: () => readFile(log, "utf8").catch(() => ""),
    changeHostKey: async () => {
      await stop();
      await makeKey(hostKey);
      await start();
      return fingerprint();
    },
    acceptHostKey: async () => writeFile(at("known_hosts"), await knownHost(namespace, hostKey)),
    refuseKey: () => writeFile(authorized, ""),
    acceptKey: accept,
    acceptOnly: (keys) => writeFile(authorized, keys.map((key) => `${key.trim()}\n`).join("")),
  };
  await server.acceptHostKey();
  return { server, files: { clientKey, knownHosts: at("known_hosts"), clientConfig: at("ssh_config") } };
}

function serverConfig(
  { address, user }: Namespace,
  hostKey: string,
  authorized: string,
  variables: Readonly<Record<string, string>>,
): string {
  const pairs = Object.entries(variables).map(([name, value]) => `"${name}=${value}"`);
  return `Port 22
ListenAddress ${address}
HostKey ${hostKey}
PidFile none
AuthorizedKeysFile ${authorized}
AllowUsers ${user}
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
UseDNS no
MaxSessions 50
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
${pairs.length > 0 ? `SetEnv ${pairs.join(" ")}\n` : ""}`;
}

/** The line of known_hosts for the key that the host has now. */
async function knownHost({ address }: Namespace, hostKey: string): Promise<string> {
  const [type = "", key = ""] = (await readFile(`${hostKey}.pub`, "utf8")).split(" ");
  return `${address} ${type} ${key}\n`;
}

/** An ssh config in which `alias` is this host, as a user writes it. */
export function clientConfig({ address, user }: Namespace, files: SshFiles, alias: string): string {
  return `Host ${alias}
  HostName ${address}
  User ${user}
  IdentityFile ${files.clientKey}
  IdentitiesOnly yes

Host *
  UserKnownHostsFile ${files.knownHosts}
  GlobalKnownHostsFile /dev/null
`;
}
