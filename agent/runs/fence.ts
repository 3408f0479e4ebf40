import { randomUUID } from "node:crypto";
import { readFileSync, utimesSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isMissing, writeAtomically } from "../files.ts";
import { isLocked } from "../lock.ts";
import type { RunPaths } from "./paths.ts";
import { signalRecorded } from "./signals.ts";

/** Makes the one supervisor that is about to be started the only one that may write: every other finds that the token is not its own. */
export async function issueToken(paths: RunPaths): Promise<string> {
  const token = randomUUID();
  await writeAtomically(paths.token, token);
  return token;
}

/** Token of the supervisor that may write; empty where there is none. */
export async function tokenOf(paths: RunPaths): Promise<string> {
  return (await readFile(paths.token, "utf8").catch(() => "")).trim();
}

/**
 * A supervisor's right to write. The kernel's lock alone is not enough: a process that is stopped (SIGSTOP, a debugger, a hung disk)
 * keeps it, and knows nothing of what happened meanwhile when it is woken.
 */
export class Fence {
  readonly #paths: RunPaths;
  readonly #exitCode: number;
  readonly token: string;

  /** `exitCode`: of a supervisor that finds itself taken over. */
  constructor(paths: RunPaths, token: string, exitCode = 0) {
    this.#paths = paths;
    this.#exitCode = exitCode;
    this.token = token;
  }

  /** Is it still ours? A file that can't be read at all proves nothing against us, unless it is gone. */
  get holds(): boolean {
    try {
      return readFileSync(this.#paths.token, "utf8").trim() === this.token;
    } catch (thrown) {
      return !isMissing(thrown);
    }
  }

  /**
   * Called right before each write, in the same turn. Another supervisor took over: this one ends here and now, without releasing
   * or tidying anything, for all of it is the other's by now. Its trainer, if it lives, is told by the kernel and saves.
   */
  readonly guard = (): void => {
    if (this.holds) return;
    console.error(
      `${new Date().toISOString()} another supervisor has taken this run over: process ${process.pid} ends`,
    );
    process.exit(this.#exitCode);
  };

  /** Gives signs of life from now on: the time of its own file changes. */
  beat(every: number): NodeJS.Timeout {
    return setInterval(() => {
      this.guard();
      try {
        const now = new Date();
        utimesSync(this.#paths.supervisorPid, now, now);
      } catch {
        // It is tried again with the next one.
      }
    }, every);
  }
}

/**
 * Shuts out a supervisor that gives no sign of life: it may write nothing any more, and its lock, which goes with the file, is
 * moved out of the way. Under the lock of declarations alone.
 */
export async function fenceOff(paths: RunPaths): Promise<void> {
  const old = (await tokenOf(paths)) || randomUUID();
  await issueToken(paths);
  await mkdir(paths.fenced, { recursive: true, mode: 0o700 });
  await rename(paths.supervisorPid, `${paths.fenced}/${old}.pid`).catch(ignoreMissing);
  await rename(paths.lock, `${paths.fenced}/${old}.lock`).catch(ignoreMissing);
}

/** Tokens of supervisors that were shut out and still live, stopped: they hold what they held. */
export async function fencedAlive(paths: Pick<RunPaths, "fenced">): Promise<string[]> {
  const names = await readdir(paths.fenced).catch(() => []);
  return names
    .filter((name) => name.endsWith(".lock") && isLocked(`${paths.fenced}/${name}`))
    .map((name) => name.slice(0, -".lock".length));
}

/** Ends the supervisors that were shut out: a stopped process hears nothing but SIGKILL. Afterwards nothing of them is left. */
export async function endFenced(paths: RunPaths, signal: AbortSignal): Promise<void> {
  for (let asked = false; ; asked = true) {
    const alive = await fencedAlive(paths);
    if (alive.length === 0) break;
    signal.throwIfAborted();
    for (const token of asked ? [] : alive) {
      if (!(await killFenced(paths, token))) await rm(`${paths.fenced}/${token}.lock`, { force: true });
    }
    await delay(20);
  }
  await rm(paths.fenced, { recursive: true, force: true });
}

/** SIGKILL to a supervisor that was shut out: it may do nothing any more. False if it is not known which process it is. */
export function killFenced(paths: Pick<RunPaths, "fenced">, token: string): Promise<boolean> {
  return signalRecorded(`${paths.fenced}/${token}.pid`, "SIGKILL");
}

function ignoreMissing(thrown: unknown): void {
  if (!isMissing(thrown)) throw thrown;
}
