import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { readRecord } from "../../agent/files.ts";
import { type RunPaths, runPaths } from "../../agent/runs/paths.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { type RunStatus, runStatus } from "../../recipe/lifecycle.ts";
import { linesOf, until } from "../agent/runs/harness.ts";
import { makeTestHome, sharedHome } from "../fixtures/home.ts";
import { makeTestProject } from "../fixtures/project.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";
import { killTreeWhen, processesOf, send, type Watch, watchProcesses } from "./processes.ts";

/** A `tuneup` that runs. */
export interface Cli {
  /** What it has said so far, stdout and stderr. */
  said(): string;
  /** Has it ended? */
  over(): boolean;
  /** Its exit code (null: a signal) and all that it said. */
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>;
  /** A terminal's Ctrl-C. */
  interrupt(): void;
  /** SIGTERM to its pid alone, as a service manager or `kill` sends it. */
  terminate(): void;
  /** SIGKILL to its pid alone: what it started is not told. */
  kill(): void;
  /** SIGKILL, with engine, language host and provider, as soon as this holds. */
  killWhen(holds: () => Promise<boolean>): Promise<void>;
}

/** The product in a home and a project of its own, on the real CLI, engine, provider and agent. */
export interface Stage {
  /** TUNEUP_HOME: what the CLI keeps on this machine. */
  readonly home: string;
  /** Data directory of the host: the same as `home` where the host is this machine. */
  readonly data: string;
  readonly folder: string;
  readonly model: string;
  readonly watch: Watch;
  readonly environment: Record<string, string>;
  /** What all commands have said. */
  transcript(): string;
  /** Writes a stack: the tiny model and a few rows, `steps` steps; `config` replaces its keys, but `train` is added to. */
  write(name: string, steps: number, config?: Readonly<Record<string, unknown>>): Promise<void>;
  start(...words: string[]): Cli;
  tuneup(...words: string[]): Cli["ended"];
  /** Plain pulumi, with the variables of `tuneup env`. */
  pulumi(...words: string[]): Cli["ended"];
  /** The same with a text on its stdin. */
  pulumiWith(input: string, ...words: string[]): Cli["ended"];
  /** What is recorded as begun and not ended: `creating SftJob`. */
  pending(name: string): Promise<string[]>;
  /** Until one of these operations is on record. Throws if `cli` ends before. */
  began(cli: Cli, name: string, ...operations: string[]): Promise<void>;
  /** SIGKILL for `cli` and all its processes at that moment. */
  killAt(cli: Cli, name: string, operation: string): Promise<void>;
  /** Paths of the one run that there is of an experiment. */
  run(name: string): Promise<RunPaths>;
  /** Ends every process that works in the home or in the data directory. */
  stop(): Promise<void>;
  /** The same, and deletes home and project. */
  remove(): Promise<void>;
}

export interface StageOptions {
  readonly home?: Parameters<typeof makeTestHome>[0];
  /** Looked for in every command line. */
  readonly secrets?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Another data directory than the home, as this machine sees it. */
  readonly data?: string;
  /** Keys of every stack that is written. */
  readonly config?: Readonly<Record<string, unknown>>;
}

const main = "cli/main.ts";

/** Everything is real; only the model is tiny, and a killed trainer is started again at once. */
export async function openStage({
  home: options,
  secrets = [],
  environment: extra = {},
  data: elsewhere,
  config: always = {},
}: StageOptions = {}): Promise<Stage> {
  const model = await tinyModel(sharedHome, await environmentPython(sharedHome));
  const [test, project] = await Promise.all([makeTestHome(options), makeTestProject()]);
  const { home } = test;
  const { folder } = project;
  const environment = { ...test.environment, TUNEUP_RUN_BACKOFF_MS: "100", ...extra };
  const data = elsewhere ?? home;
  const watch = watchProcesses(data, secrets);
  const state = join(home, "state/.pulumi/stacks/tuneup");
  let plain: Record<string, string> | undefined;
  const started: Cli[] = [];
  const plainSaid: string[] = [];
  const start = (...words: string[]): Cli => {
    const cli = startCli(folder, environment, words);
    started.push(cli);
    return cli;
  };
  const pending = async (name: string): Promise<string[]> => {
    const text = await readFile(`${state}/${name}.json`, "utf8").catch(() => "");
    return pendingIn(text);
  };
  const stop = async () => {
    await watch.end();
    for (const folder of new Set([home, data])) {
      for (const { pid } of await processesOf(folder)) send(pid, "SIGKILL");
      await until(async () => (await processesOf(folder)).length === 0);
    }
  };
  const pulumi = async (input: string, words: readonly string[]) => {
    plain ??= exportsIn((await execa(process.execPath, [main, "env"], { cwd: folder, env: environment })).stdout);
    const options = { cwd: folder, env: { ...environment, ...plain }, extendEnv: false, reject: false, all: true };
    const { all, exitCode } = await execa("pulumi", ["--non-interactive", ...words], { ...options, input });
    plainSaid.push(String(all));
    return { code: exitCode ?? null, said: String(all) };
  };
  return {
    ...{ home, data, folder, model, watch, environment, start, pending },
    write: (name, steps, { train = {}, ...config } = {}) => {
      const experiment = experimentOf(model, steps);
      return project.writeStack(name, {
        ...experiment,
        ...always,
        ...config,
        train: { ...experiment.train, ...(train as object) },
      });
    },
    tuneup: (...words) => start(...words).ended,
    transcript: () => [...started.map((cli) => cli.said()), ...plainSaid].join("\n"),
    pulumi: (...words) => pulumi("", words),
    pulumiWith: (input, ...words) => pulumi(input, words),
    began: (cli, name, ...operations) =>
      untilIn(cli, async () => (await pending(name)).some((operation) => operations.includes(operation))),
    killAt: (cli, name, operation) =>
      cli.killWhen(async () => {
        const begun = (await pending(name)).includes(operation);
        if (!begun && cli.over()) throw new Error(`It ended before ${operation}: ${cli.said()}`);
        return begun;
      }),
    run: async (name) => {
      const layout = layoutOf(data);
      const names = (await readdir(layout.runs)).filter((run) => run.startsWith(`${name}-`));
      if (names.length !== 1) throw new Error(`${name} has ${names.length} runs.`);
      return runPaths(layout, names[0] ?? "");
    },
    stop,
    remove: async () => {
      await stop();
      await Promise.all([test.remove(), project.remove()]);
    },
  };
}

/** The smallest experiment that learns something. */
export function experimentOf(model: string, steps: number) {
  return {
    model: { source: "path" as const, id: model },
    datasets: [{ builtin: "general" as const }],
    train: {
      stage: "sft",
      template: "qwen",
      finetuning_type: "lora",
      lora_rank: 4,
      additional_target: "embed_tokens,lm_head",
      cutoff_len: 128,
      per_device_train_batch_size: 2,
      learning_rate: 0.001,
      max_steps: steps,
      logging_steps: 1,
      save_steps: 10,
      disable_gradient_checkpointing: true,
    },
    serve: { enabled: false },
  };
}

function startCli(folder: string, environment: Record<string, string>, words: readonly string[]): Cli {
  // Detached: a group of its own, as a shell gives each job, so that a Ctrl-C can be sent to it.
  const child = spawn(process.execPath, [main, ...words], {
    ...{ cwd: folder, env: environment, detached: true },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  const pid = child.pid ?? NaN;
  return {
    said: () => said,
    over: () => child.exitCode !== null || child.signalCode !== null,
    ended: once(child, "exit").then(([code]) => ({ code: code as number | null, said })),
    interrupt: () => process.kill(-pid, "SIGINT"),
    terminate: () => process.kill(pid, "SIGTERM"),
    kill: () => process.kill(pid, "SIGKILL"),
    killWhen: (holds) => killTreeWhen(pid, holds),
  };
}

function exportsIn(text: string): Record<string, string> {
  const found = [...text.matchAll(/^export (\w+)='(.*)'$/gm)];
  return Object.fromEntries(found.map(([, name = "", value = ""]) => [name, value]));
}

interface Recorded {
  readonly pending_operations?: readonly { readonly type: string; readonly resource: { readonly type: string } }[];
}

/** Pending operations of a state file or of `pulumi stack export`; none where the text is torn. */
export function pendingIn(text: string): string[] {
  try {
    const read = JSON.parse(text) as { checkpoint?: { latest?: Recorded }; deployment?: Recorded };
    const operations = (read.checkpoint?.latest ?? read.deployment)?.pending_operations ?? [];
    // A component has the name of its resource: it is told by its whole type, so that a kill waits for the resource.
    return operations.map(({ type, resource }) => `${type} ${resource.type.replace(/^tuneup-host:index:/, "")}`);
  } catch {
    return [];
  }
}

/** Reports of a run's trainers, as they wrote them themselves. */
export interface Report {
  readonly attempt: number;
  readonly kind: string;
  readonly step?: number;
  readonly pid?: number;
  /** Of a fault: what Python said. */
  readonly message?: string;
}

export const reportsOf = (paths: RunPaths): Report[] => linesOf<Report>(paths.reports);

/** The status as recorded. */
export const statusOf = (paths: RunPaths): Promise<RunStatus | undefined> => readRecord(paths.status, runStatus);

/**
 * Freezes the trainer (SIGSTOP) as soon as attempt `attempt` has saved a checkpoint, and returns its pid: what comes next
 * happens in the middle of training, however slow the machine is. SIGCONT thaws it.
 */
export async function freezeTrainer(
  stage: Stage,
  cli: Cli | undefined,
  name: string,
  attempt: number,
): Promise<number> {
  await untilIn(cli, () =>
    stage.run(name).then(
      () => true,
      () => false,
    ),
  );
  const paths = await stage.run(name);
  const its = (kind: string) => reportsOf(paths).find((report) => report.attempt === attempt && report.kind === kind);
  await untilIn(cli, () => its("checkpoint") !== undefined);
  const pid = its("start")?.pid ?? NaN;
  process.kill(pid, "SIGSTOP");
  return pid;
}

/** Waits for what a command shall bring about; throws with what it said if it ends without. */
async function untilIn(cli: Cli | undefined, holds: () => boolean | Promise<boolean>): Promise<void> {
  if (cli === undefined) return until(holds);
  await until(async () => (await holds()) || cli.over());
  if (cli.over() && !(await holds())) throw new Error(`It ended too early: ${cli.said()}`);
}
