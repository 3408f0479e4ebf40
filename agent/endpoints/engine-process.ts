import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { setPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { makeFontCache, writeAtomically } from "../files.ts";
import { childEnvironment } from "../processes.ts";
import type { EngineLaunch } from "./engines/engine-kind.ts";

const logLimit = 4 * 1024 ** 2;

/** The process of one engine, from its start to its end. */
export class EngineProcess {
  readonly pid: number | undefined;
  /** Resolves with the sentence that says how it ended; never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #over = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid;
    this.ended = new Promise((resolve) => {
      child.once("error", (thrown) => resolve(`could not be started: ${thrown.message}`));
      child.once("exit", (code, signal) => {
        this.#over = true;
        resolve(howItEnded(code, signal));
      });
    });
  }

  /** Starts it in our process group; serve.py makes the kernel end it with us. `niceness` as of nice(1). */
  static async start(launch: EngineLaunch, log: string, niceness = 0): Promise<EngineProcess> {
    for (const { path, text } of launch.files) await writeAtomically(path, text);
    const cache = launch.environment["XDG_CACHE_HOME"];
    if (cache !== undefined) await makeFontCache(cache);
    const output = openSync(log, sizeOf(log) > logLimit ? "w" : "a", 0o600);
    try {
      const child = spawn(launch.program, launch.words, {
        stdio: ["ignore", output, output],
        env: childEnvironment({ ...launch.environment, TUNEUP_PARENT_PID: String(process.pid) }),
        cwd: "/",
      });
      if (child.pid !== undefined && niceness !== 0) yieldTo(child.pid, niceness);
      return new EngineProcess(child);
    } finally {
      closeSync(output);
    }
  }

  kill(): void {
    if (!this.#over) this.#child.kill("SIGKILL");
  }

  /** SIGTERM, and SIGKILL after `grace` ms. */
  async stop(grace: number): Promise<void> {
    if (this.#over || this.pid === undefined) return;
    this.#child.kill("SIGTERM");
    // A stopped process (SIGSTOP) would not even see the first.
    this.#child.kill("SIGCONT");
    const patience = new AbortController();
    const late = delay(grace, true, { signal: patience.signal }).catch(() => false);
    if (await Promise.race([this.ended.then(() => false), late])) this.kill();
    patience.abort();
    await this.ended;
  }
}

function yieldTo(pid: number, niceness: number): void {
  try {
    setPriority(pid, niceness);
  } catch {
    // It may be gone already, and without the priority it works as well.
  }
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === "SIGKILL") return "was killed (SIGKILL; out of memory, if nobody did it by hand)";
  return signal === null ? `ended with exit code ${code ?? 0}` : `ended by ${signal}`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last `lines` lines with text of a log, to say why an engine ended. */
export async function lastLines(path: string, lines: number): Promise<string[]> {
  try {
    const file = await open(path);
    try {
      const length = 8192;
      const { size } = await file.stat();
      const start = Math.max(0, size - length);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
      const all = buffer.toString("utf8", 0, bytesRead).split(/[\r\n]+/);
      return all
        .slice(start > 0 ? 1 : 0)
        .map((line) => line.trim())
        .filter((line) => line !== "")
        .slice(-lines);
    } finally {
      await file.close();
    }
  } catch {
    return [];
  }
}
