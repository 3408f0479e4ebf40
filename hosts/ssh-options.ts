import { createHash } from "node:crypto";
import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { Fault } from "../recipe/fault.ts";
import type { SshHostSpec } from "../recipe/host.ts";

/** Longest folder for control sockets: the kernel allows 107 bytes for a socket's path, and ssh adds 17 to ours while it makes it. */
const longestFolder = 60;

/** A master that nobody uses ends after so many seconds. */
const persistSeconds = 30;

/** How the connection is watched, from the variables of this process; users never need them. */
export interface SshTiming {
  /** Seconds between the questions whether the other end is there; three without an answer end the connection. */
  readonly aliveSeconds: number;
  /** How long a lost connection is tried again, in milliseconds. */
  readonly patience: number;
}

/** A way that is ours from end to end and not the user's ssh config's: nothing is read there. */
export interface SshRoute {
  /** Command whose stdin and stdout are the connection. */
  readonly proxyCommand: string;
  /** File of the host keys that were seen, ours alone. */
  readonly knownHosts: string;
  /** Name of the host's key in it. A new name's key is taken as it is: who answers is known by the proxy. */
  readonly alias: string;
  /** Seconds until the other end has to greet. */
  readonly connectSeconds: number;
  /** Comes before each new connection. */
  admit(): Promise<void>;
  /** Why it failed, from what ssh and the proxy said. */
  explain(said: string): Fault;
}

/** The times as `TUNEUP_SSH_ALIVE_S` and `TUNEUP_SSH_PATIENCE_MS` say; 3 s and 10 minutes. */
export function sshTiming(environment: Readonly<Record<string, string | undefined>>): SshTiming {
  const read = (name: string, standard: number): number => {
    const value = Number(environment[name] ?? NaN);
    return Number.isFinite(value) && value > 0 ? value : standard;
  };
  return { aliveSeconds: read("TUNEUP_SSH_ALIVE_S", 3), patience: read("TUNEUP_SSH_PATIENCE_MS", 600_000) };
}

/** Words of `ssh` before the host's name that say how to reach it. What they leave open, the user's ssh config says. `forwards`: ports are forwarded. */
export function reachWords(
  { user, port, identity, jump }: SshHostSpec,
  { aliveSeconds }: SshTiming,
  { forwards = false, route }: { readonly forwards?: boolean; readonly route?: SshRoute | undefined } = {},
): string[] {
  const options = {
    // Nobody is there to be asked: a question is a failure, and it is told.
    BatchMode: "yes",
    ConnectTimeout: String(route?.connectSeconds ?? 10),
    ServerAliveInterval: String(Math.ceil(aliveSeconds)),
    ServerAliveCountMax: "3",
    // Whatever the config says for people's own sessions.
    ForwardAgent: "no",
    ForwardX11: "no",
    ClearAllForwardings: forwards ? "no" : "yes",
    RequestTTY: "no",
    RemoteCommand: "none",
    PermitLocalCommand: "no",
    LogLevel: "INFO",
  };
  return [
    ...(route === undefined ? [] : ["-F", "none"]),
    ...Object.entries({ ...options, ...(route === undefined ? {} : routeOptions(route)) }).flatMap(([name, value]) => [
      "-o",
      `${name}=${value}`,
    ]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(identity === undefined ? [] : ["-i", identity]),
    ...(jump === undefined ? [] : ["-J", jump]),
  ];
}

function routeOptions({ proxyCommand, knownHosts, alias }: SshRoute) {
  return {
    ProxyCommand: proxyCommand,
    // ssh takes several files, parted by blanks, and fills in %.
    UserKnownHostsFile: `"${knownHosts.replaceAll("%", "%%")}"`,
    GlobalKnownHostsFile: "/dev/null",
    HostKeyAlias: alias,
    StrictHostKeyChecking: "accept-new",
    CheckHostIP: "no",
    UpdateHostKeys: "no",
    // An agent's keys would use up the tries.
    IdentitiesOnly: "yes",
    IdentityAgent: "none",
  };
}

/** Words that make a connection the master of those that follow, or take the master that is there. */
export function masterWords(socket: string): string[] {
  return ["-o", "ControlMaster=auto", "-o", `ControlPersist=${persistSeconds}`, "-o", `ControlPath=${socket}`];
}

/**
 * Words that take the master that is there, or do without one. With a route there is no connection but by `admit`: without a master it fails,
 * as a lost connection does. They come before all others: of an option ssh takes the first.
 */
export function followerWords(socket: string, route?: SshRoute): string[] {
  const never = route === undefined ? [] : ["-o", "ProxyCommand=false"];
  return [...never, "-o", "ControlMaster=no", "-o", `ControlPath=${socket}`];
}

/** Path of the control socket of a host: the same for all our processes, in a folder of the user's alone. Throws Fault `ssh-control-folder`. */
export function controlSocket(spec: SshHostSpec, environment: Readonly<Record<string, string | undefined>>): string {
  const { address, user, port, identity, jump } = spec;
  const name = createHash("sha256")
    .update(JSON.stringify([address, user, port, identity, jump]))
    .digest("hex")
    .slice(0, 12);
  const preferred = `${environment["XDG_RUNTIME_DIR"] ?? tmpdir()}/tuneup-ssh-${userInfo().uid}`;
  const folder = preferred.length <= longestFolder ? preferred : `/tmp/tuneup-ssh-${userInfo().uid}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(folder);
  // In a folder for all, somebody else may have made it first, to speak on our connection.
  if (uid === userInfo().uid && (mode & 0o077) === 0) return `${folder}/${name}`;
  throw new Fault({
    code: "ssh-control-folder",
    message: `${folder}, where the connection is kept, is not yours alone.`,
    next: "Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
  });
}
