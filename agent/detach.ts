import { execFileSync } from "node:child_process";
import { userInfo } from "node:os";

/** How a program is started so that it outlives us. */
export interface Detached {
  readonly file: string;
  readonly words: readonly string[];
  /** Variables that it needs on top. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Longest time that systemd may take to answer. */
const patience = 5000;

const scope = ["--user", "--scope", "--collect", "--quiet", "--"] as const;

/**
 * What starts a program so that it outlives the login over which we came. On most machines a session of its own is enough. Where systemd
 * ends a user's processes at logout (KillUserProcesses), only a unit of the user's own manager stays, and the manager only with
 * lingering on: so that is used, as a transient scope, where a manager answers. A scope holds the program itself, with its
 * process id, environment and output, and goes with it: there is no unit file, and nothing is left.
 */
export function detached(
  file: string,
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Detached {
  const uid = process.getuid?.();
  const plain = { file, words, environment: {} };
  if (environment["SSH_CONNECTION"] === undefined || uid === undefined) return plain;
  // A login that PAM did not see has no such variable; the manager is found by it.
  const runtime = { XDG_RUNTIME_DIR: environment["XDG_RUNTIME_DIR"] ?? `/run/user/${uid}` };
  if (!hasLingeringManager({ ...environment, ...runtime })) return plain;
  return { file: "systemd-run", words: [...scope, file, ...words], environment: runtime };
}

/** Is there a manager of this user that makes scopes, and does it outlive the last logout? Turns lingering on if that is allowed. */
function hasLingeringManager(environment: Readonly<Record<string, string | undefined>>): boolean {
  const says = (file: string, ...words: readonly string[]): string | undefined => {
    try {
      const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
      return execFileSync(file, words, { encoding: "utf8", timeout: patience, stdio, env: environment }).trim();
    } catch {
      return undefined;
    }
  };
  if (says("systemd-run", ...scope, "true") === undefined) return false;
  const lingers = (): boolean => says("loginctl", "show-user", userName(), "--property=Linger", "--value") === "yes";
  return lingers() || (says("loginctl", "enable-linger") !== undefined && lingers());
}

/** Our name; the number where there is none, which loginctl takes as well. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}
