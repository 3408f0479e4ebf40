import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { isAlive } from "../../agent/processes.ts";
import { until } from "../agent/runs/harness.ts";

/** A process as `ps` shows it. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Its whole command line. */
  readonly words: string;
}

/** All processes of this machine. */
export async function processes(): Promise<Process[]> {
  const { stdout } = await promisify(execFile)("ps", ["-Aww", "-o", "pid=,ppid=,args="], { maxBuffer: 1e8 });
  return stdout.split("\n").flatMap((line) => {
    const [, pid = "", parent = "", words = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === "" ? [] : [{ pid: Number(pid), parent: Number(parent), words }];
  });
}

/** `root` and what it started, but nothing from the agent on: what works on the host is not part of the CLI. */
function treeOf(root: number, all: readonly Process[]): number[] {
  const children = all.filter(({ parent, words }) => parent === root && !words.includes("agent.mjs"));
  return [root, ...children.flatMap(({ pid }) => treeOf(pid, all))];
}

/** SIGKILL for a CLI and everything that it started (engine, language host, program, provider), all at one moment. */
export async function killTree(root: number): Promise<readonly number[]> {
  const pids = treeOf(root, await processes());
  // Stopped first, so that none sees another die.
  for (const pid of pids) send(pid, "SIGSTOP");
  for (const pid of treeOf(root, await processes())) if (!pids.includes(pid)) pids.push(pid);
  for (const pid of pids) send(pid, "SIGKILL");
  await until(() => !pids.some(isAlive));
  return pids;
}

/**
 * The same at the moment when `holds`. Who belongs to the tree is looked up while it is awaited: to ask `ps` first would give
 * the engine time to go on.
 */
export async function killTreeWhen(root: number, holds: () => Promise<boolean>): Promise<void> {
  let known: readonly number[] = [root];
  const ending = new AbortController();
  const looking = (async () => {
    while (!ending.signal.aborted) {
      known = treeOf(root, await processes());
      await delay(100, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  })();
  try {
    await until(holds);
    for (const pid of known) send(pid, "SIGSTOP");
    await killTree(root);
  } finally {
    ending.abort();
    await looking;
  }
}

/** Sends a signal to a process that may be gone. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}

/** What a watch over all processes has seen. */
export interface Watch {
  /** Most trainers of the data directory at one moment. */
  readonly mostTrainers: number;
  /** Command lines in which one of the secrets was. */
  readonly leaks: readonly string[];
  /** Looks. */
  readonly looks: number;
  end(): Promise<void>;
}

/** Looks at all processes several times a second: how many trainers run below `home`, who shows one of `secrets`. */
export function watchProcesses(home: string, secrets: readonly string[]): Watch {
  const seen = { mostTrainers: 0, leaks: [] as string[], looks: 0 };
  const ending = new AbortController();
  const watching = (async () => {
    while (!ending.signal.aborted) {
      const all = await processes();
      const trainers = all.filter(({ words }) => words.includes(`${home}/runs/`) && words.includes("train.py"));
      const roots = trainers.filter(({ parent }) => !trainers.some(({ pid }) => pid === parent));
      seen.mostTrainers = Math.max(seen.mostTrainers, roots.length);
      seen.leaks.push(...all.map(({ words }) => words).filter((words) => secrets.some((word) => words.includes(word))));
      seen.looks += 1;
      await delay(200, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  })();
  return Object.assign(seen, {
    end: () => {
      ending.abort();
      return watching;
    },
  });
}

/** Processes that work for the data directory `home`. */
export async function processesOf(home: string): Promise<Process[]> {
  return (await processes()).filter(({ pid, words }) => words.includes(home) && pid !== process.pid);
}
