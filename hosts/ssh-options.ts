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
  { forwards = false }: { readonly forwards?: boolean } = {},
): string[] {
  const options = {
    // Nobody is there to be asked: a question is a failure, and it is told.
    BatchMode: "yes",
    ConnectTimeout: "10",
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
    ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(identity === undefined ? [] : ["-i", identity]),
    ...(jump === undefined ? [] : ["-J", jump]),
  ];
}

/** Words that make a connection the master of those that follow, or take the master that is there. */
export function masterWords(socket: string): string[] {
  return ["-o", "ControlMaster=auto", "-o", `ControlPersist=${persistSeconds}`, "-o", `ControlPath=${socket}`];
}

/** Words that take the master that is there, or do without one. */
export function followerWords(socket: string): string[] {
  return ["-o", "ControlMaster=no", "-o", `ControlPath=${socket}`];
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
