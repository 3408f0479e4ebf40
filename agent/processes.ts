import { spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { allowedEnvironment } from "../recipe/child-environment.ts";
import { detached } from "./detach.ts";

/** The allow-listed part of our environment plus `extra`: what every child process gets (never `process.env` itself). */
export function childEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return allowedEnvironment(process.env, extra);
}

/** Is there a live process with this id? A zombie counts as dead where /proc can tell. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat[stat.lastIndexOf(")") + 2] !== "Z";
  } catch {
    return true;
  }
}

/** Path of the file that runs as the agent now: the bundle on a host, agent/main.ts in the tests. */
export function agentPath(): string {
  return fileURLToPath(import.meta.url).replace(/processes\.ts$/, "main.ts");
}

/**
 * Starts `node agent.mjs <words>` in a session of its own, detached from terminal, parent and login, output appended to
 * `log` (0600). Returns its pid. It outlives us; nothing waits for it.
 */
export function spawnDetachedAgent(words: readonly string[], log: string): number | undefined {
  const output = openSync(log, "a", 0o600);
  const start = detached(process.execPath, [agentPath(), ...words], process.env);
  const child = spawn(start.file, start.words, {
    detached: true,
    stdio: ["ignore", output, output],
    env: childEnvironment(start.environment),
    cwd: "/",
  });
  child.unref();
  return child.pid;
}
