import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Context } from "../../../agent/context.ts";
import { isLocked } from "../../../agent/lock.ts";
import { childEnvironment, isAlive } from "../../../agent/processes.ts";
import { runCommands } from "../../../agent/runs/commands.ts";
import { runPaths } from "../../../agent/runs/paths.ts";
import { pidIn } from "../../../agent/runs/signals.ts";
import { timingOf } from "../../../agent/runs/timing.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import type { RunSpec } from "../../../recipe/protocol.ts";
import type { FakePlan } from "./fake-trainer.ts";

const script = fileURLToPath(new URL("./fake-supervisor.ts", import.meta.url));

/** A data directory whose supervisors start fake trainers, with short times. `flags`: of Node, for supervisors. */
export function makeHost(
  environment: Readonly<Record<string, string>> = {},
  folder = tmpdir(),
  flags: readonly string[] = [],
) {
  const dataDirectory = mkdtempSync(join(folder, "tuneup-runs-"));
  const layout = layoutOf(dataDirectory);
  const started: number[] = [];
  const commands = runCommands((_layout, paths, run, token) => {
    const log = openSync(paths.supervisorLog, "a", 0o600);
    const child = spawn(process.execPath, [...flags, script, dataDirectory, run, token], {
      detached: true,
      stdio: ["ignore", log, log],
      env: childEnvironment({
        TUNEUP_RUN_BACKOFF_MS: "10",
        TUNEUP_RUN_STOP_GRACE_MS: "3000",
        TUNEUP_RUN_BEAT_MS: "100",
        ...environment,
      }),
    });
    closeSync(log);
    child.unref();
    if (child.pid !== undefined) started.push(child.pid);
  }, timingOf(environment));
  return {
    dataDirectory,
    layout,
    started,
    ...commands,
    paths: (run = "mine-1") => runPaths(layout, run),
    spec: (run = "mine-1", more: Partial<RunSpec> = {}) => specOf(dataDirectory, run, more),
    /** Says what the fake trainer of a run shall do. */
    plan: (plan: FakePlan, run = "mine-1") => {
      const { directory } = runPaths(layout, run);
      mkdirSync(directory, { recursive: true });
      writeFileSync(`${directory}/plan.json`, JSON.stringify(plan));
    },
    /** Until the fake trainer waits at its `hold`. */
    held: (run = "mine-1") => until(() => existsSync(`${runPaths(layout, run).directory}/holding`)),
    release: (run = "mine-1") => closeSync(openSync(`${runPaths(layout, run).directory}/go`, "w")),
    supervisorPid: (run = "mine-1") => pidIn(runPaths(layout, run).supervisorPid),
    trainerPid: (run = "mine-1") => pidIn(runPaths(layout, run).trainerPid),
    events: (run = "mine-1") => linesOf<{ kind: string; message: string }>(runPaths(layout, run).events),
    clean: async () => {
      for (const run of await readdir(layout.runs).catch(() => [])) await killRun(runPaths(layout, run));
      // One that was just started and has no lock yet ends by itself.
      await until(() => !started.some(isAlive));
      await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function specOf(dataDirectory: string, run: string, more: Partial<RunSpec>): RunSpec {
  return {
    schemaVersion: 1,
    experiment: run.split("-")[0] ?? run,
    run,
    arguments: { output_dir: `${dataDirectory}/runs/${run}/output`, learning_rate: 1e-3 },
    environment: "fake",
    device: "cpu",
    artifact: "adapter",
    config: { name: "Ada" },
    ...more,
  };
}

/** Ends what is left of a run, supervisor first so that it starts nothing new. */
export async function killRun(paths: ReturnType<typeof runPaths>): Promise<void> {
  for (const [lock, file] of [
    [paths.lock, paths.supervisorPid],
    [paths.trainerLock, paths.trainerPid],
  ] as const) {
    const pid = await pidIn(file);
    if (pid === undefined || !isLocked(lock)) continue;
    process.kill(pid, "SIGKILL");
    await until(() => !isLocked(lock));
  }
}

/** A context that collects what a command says. */
export function collect(signal = new AbortController().signal) {
  const said: string[] = [];
  const logged: string[] = [];
  const data: string[] = [];
  const context: Context = {
    progress: ({ message }) => said.push(message),
    log: (_level, message) => logged.push(message),
    data: (line) => data.push(line),
    signal,
  };
  return { ...context, said, logged, lines: data };
}

/** Waits for something that another process does. The test's own time limit ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}

/** Kills a process and waits until it is gone. */
export async function kill(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error("There is no process to kill.");
  process.kill(pid, "SIGKILL");
  await until(() => !isAlive(pid));
}

export function linesOf<T>(path: string): T[] {
  if (!existsSync(path)) return [];
  return (
    readFileSync(path, "utf8")
      .split("\n")
      // What follows the last line's end is a line that is just being written.
      .slice(0, -1)
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as T)
  );
}
