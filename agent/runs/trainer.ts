import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Layout } from "../../recipe/layout.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { asset } from "../assets.ts";
import { isMissing, makeFontCache, writeAtomically } from "../files.ts";
import { childEnvironment } from "../processes.ts";
import type { RunPaths } from "./paths.ts";

/** One start of a trainer. */
export interface Launch {
  readonly layout: Layout;
  readonly paths: RunPaths;
  readonly spec: RunSpec;
  readonly attempt: number;
  /** Folder of the checkpoint to go on from. */
  readonly resume: string | undefined;
  readonly saveSeconds: number;
  /** Its supervisor's: a trainer whose supervisor was taken over ends before it does anything. None where nobody supervises. */
  readonly token?: string;
  /** Which node of several this is. Default: the first of one. */
  readonly node?: NodePlace;
  /** Seconds that ranks of several have to save and end when one of them ended. Default: 60. */
  readonly stopSeconds?: number;
}

/** A node among several, and where the first one is met. */
export interface NodePlace {
  readonly rank: number;
  readonly address: string;
  readonly port: number;
}

/** A program with its words and its variables on top of the allow-listed ones. */
export interface TrainerProgram {
  readonly file: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** How a trainer is started; tests have their own. */
export type TrainerCommand = (launch: Launch) => Promise<TrainerProgram>;

const scripts = [
  ...["train", "train_reports", "train_guard", "train_checkpoints", "train_callback", "train_ranks", "train_launch"],
] as const;

/** LLaMA-Factory in the run's environment. Its files are kept with the run, as they were. */
export const pythonTrainer: TrainerCommand = async (launch) => {
  for (const name of scripts) {
    await writeAtomically(`${launch.paths.scripts}/${name}.py`, asset(`agent/python/${name}.py`));
  }
  await makeFontCache(`${launch.layout.root}/cache`);
  return trainerProgram(launch);
};

/** What starts a trainer: `tuneup render` shows it as well. */
export function trainerProgram(launch: Launch): TrainerProgram {
  const { layout, paths, spec, attempt, resume, saveSeconds } = launch;
  return {
    file: `${spec.environment}/bin/python`,
    words: [
      ...launcherOf(launch),
      `${paths.scripts}/train.py`,
      ...["--run-directory", paths.directory],
      ...["--attempt", String(attempt)],
      ...["--save-seconds", String(saveSeconds)],
      ...(resume === undefined ? [] : ["--resume", resume]),
      ...((launch.node?.rank ?? 0) === 0 ? [] : ["--follow"]),
    ],
    environment: {
      ...(areSeveral(spec) ? networkVariables(spec) : {}),
      PYTHONUNBUFFERED: "1",
      PYTHONUTF8: "1",
      PYTHONNOUSERSITE: "1",
      // On shared cores, threads that spin while they wait cost 5 instead of 2 CPU seconds a step.
      OMP_WAIT_POLICY: "PASSIVE",
      GOMP_SPINCOUNT: "0",
      // Model and data are here already, and nothing is sent anywhere.
      HF_HUB_OFFLINE: "1",
      TRANSFORMERS_OFFLINE: "1",
      HF_DATASETS_OFFLINE: "1",
      HF_HUB_DISABLE_TELEMETRY: "1",
      DO_NOT_TRACK: "1",
      HF_HOME: `${paths.cache}/huggingface`,
      MPLBACKEND: "Agg",
      // fc-list, which matplotlib starts where there is one, has no variable of its own.
      XDG_CACHE_HOME: `${layout.root}/cache`,
      MPLCONFIGDIR: `${layout.root}/cache/matplotlib`,
      TRITON_CACHE_DIR: `${layout.root}/cache/triton`,
      TORCHINDUCTOR_CACHE_DIR: `${layout.root}/cache/torchinductor`,
    },
  };
}

function areSeveral({ processes }: RunSpec): boolean {
  return processes !== undefined && processes.nodes * processes.perNode > 1;
}

/** Nodes come up one after the other; as long as images are pulled, the first one waits. Seconds. */
const meetingPatience = 1800;

/** What starts the processes of this node where there are several; nothing where there is one. */
function launcherOf({ spec, paths, node, stopSeconds = 60 }: Launch): string[] {
  if (spec.processes === undefined || !areSeveral(spec)) return [];
  const { nodes, perNode } = spec.processes;
  const { rank, address, port } = node ?? { rank: 0, address: "127.0.0.1", port: 29400 };
  const meeting =
    nodes === 1
      ? ["--standalone", "--local-addr=127.0.0.1"]
      : [
          ...[`--nnodes=${nodes}`, `--node-rank=${rank}`, `--master-addr=${address}`, `--master-port=${port}`],
          `--rdzv-conf=timeout=${meetingPatience}`,
        ];
  const ends = ["--max-restarts=0", `--shutdown-timeout=${Math.ceil(stopSeconds)}`];
  return [`${paths.scripts}/train_launch.py`, ...meeting, `--nproc-per-node=${perNode}`, ...ends];
}

/** How processes reach each other, as it was set for their Pods. On one machine they do so by loopback, whatever it is called. */
function networkVariables({ processes }: RunSpec): Record<string, string> {
  const set = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && /^(NCCL|GLOO|UCX|FI)_/.test(entry[0]),
  );
  const loopback = process.platform === "linux" && processes?.nodes === 1 ? { GLOO_SOCKET_IFNAME: "lo" } : {};
  return { ...loopback, ...Object.fromEntries(set) };
}

/** A started trainer. */
export interface Trainer {
  readonly pid: number | undefined;
  readonly ended: Promise<{
    readonly code: number | undefined;
    readonly signal: NodeJS.Signals | undefined;
    readonly notStarted?: string;
  }>;
  /** To the trainer alone: it ends its own children. */
  stop(): void;
  /** Asks for a checkpoint after this step; it goes on. Ends one that has not begun yet. */
  save(): void;
  /** SIGKILL to it and its children. */
  kill(): void;
}

/** Starts a trainer in a process group of its own, its output appended to the run's log. `guard` is called right before. */
export async function startTrainer(command: TrainerCommand, launch: Launch, guard: () => void): Promise<Trainer> {
  const { file, words, environment } = await command(launch);
  const ours = { TUNEUP_PARENT_PID: String(process.pid), TUNEUP_SUPERVISOR_TOKEN: launch.token ?? "" };
  guard();
  const log = openSync(launch.paths.log, "a", 0o600);
  const child = spawn(file, [...words], {
    cwd: launch.paths.directory,
    detached: true,
    stdio: ["ignore", log, log],
    env: childEnvironment({ ...environment, ...ours }),
  });
  closeSync(log);
  const ended = new Promise<Awaited<Trainer["ended"]>>((resolve) => {
    child.once("error", (error) => resolve({ code: undefined, signal: undefined, notStarted: error.message }));
    child.once("exit", (code, signal) => {
      // Workers that load data outlive a trainer that was killed.
      signalGroup(child.pid, "SIGKILL");
      resolve({ code: code ?? undefined, signal: signal ?? undefined });
    });
  });
  return {
    pid: child.pid,
    ended,
    stop: () => void child.kill("SIGTERM"),
    save: () => void child.kill("SIGUSR1"),
    kill: () => signalGroup(child.pid, "SIGKILL"),
  };
}

/** Sends a signal to a process group, if there is one. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone, which is what we want.
  }
}

const tailBytes = 8192;

/** The last line of a log that says something; empty if there is none. */
export async function lastLineOf(path: string): Promise<string> {
  const file = await open(path, "r").catch((thrown: unknown) => {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  });
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, Math.max(0, size - tailBytes));
    const lines = buffer
      .subarray(0, bytesRead)
      .toString("utf8")
      .split(/[\r\n]+/);
    return (lines.findLast((line) => line.trim() !== "") ?? "").trim().slice(0, 500);
  } finally {
    await file.close();
  }
}
