import { readdir } from "node:fs/promises";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import { type RunMetric, runEvent, runMetric } from "../../recipe/lifecycle.ts";
import { Fault } from "../../recipe/fault.ts";
import type { Handler } from "../context.ts";
import { bytesBelow, isMissing, readLines } from "../files.ts";
import { diskFullFault, saysDiskFull } from "../folders.ts";
import { spawnDetachedAgent } from "../processes.ts";
import { declareRun, type StartSupervisor } from "./declare.ts";
import { damageOf } from "./outputs.ts";
import { runPaths } from "./paths.ts";
import { observeRun, type RunRecord } from "./record.ts";
import { stopRun } from "./stop.ts";
import { type Timing, timingOf } from "./timing.ts";
import { waitForRun } from "./wait.ts";

/** A full disk told as such. */
function told<T>(dataDirectory: string, work: Promise<T>): Promise<T> {
  return work.catch(async (thrown: unknown) => {
    const isOurs = thrown instanceof Fault || !saysDiskFull(String((thrown as NodeJS.ErrnoException).code));
    throw isOurs ? thrown : await diskFullFault("this run", dataDirectory);
  });
}

/** The commands about runs, for a way to start supervisors. */
export function runCommands(start: StartSupervisor, timing: Timing) {
  const runDeclare: Handler<"run-declare"> = async ({ dataDirectory, spec, s3 }, { signal }) => ({
    status: await told(dataDirectory, declareRun(layoutOf(dataDirectory), spec, start, signal, s3)),
  });
  const runWait: Handler<"run-wait"> = ({ dataDirectory, run }, context) =>
    told(dataDirectory, waitForRun(layoutOf(dataDirectory), run, start, context, timing));
  const runStop: Handler<"run-stop"> = async ({ dataDirectory, run }, context) => ({
    status: await told(dataDirectory, stopRun(runPaths(layoutOf(dataDirectory), run), timing, context)),
  });
  return { runDeclare, runWait, runStop };
}

export const { runDeclare, runWait, runStop } = runCommands((layout, paths, run, token) => {
  const words = ["supervise", "--data-directory", layout.root, "--run", run, "--token", token];
  spawnDetachedAgent(words, paths.supervisorLog);
}, timingOf(process.env));

export const runRead: Handler<"run-read"> = async ({ dataDirectory, run }) => {
  const paths = runPaths(layoutOf(dataDirectory), run);
  const record = await observeRun(paths);
  if (record === undefined) return null;
  const { status, spec, manifest } = record;
  const damage = manifest === undefined ? undefined : await damageOf(paths, manifest);
  return {
    ...{ status, spec, manifest: manifest ?? null, bytes: await bytesBelow(paths.directory) },
    ...(damage === undefined ? {} : { damage }),
  };
};

export const runList: Handler<"run-list"> = async ({ dataDirectory, experiment }) =>
  (await runsOf(layoutOf(dataDirectory), experiment)).map(({ status }) => status);

export const runCurve: Handler<"run-curve"> = async ({ dataDirectory, run }) => {
  const paths = runPaths(layoutOf(dataDirectory), run);
  const [metrics, events] = await Promise.all([readLines(paths.metrics, runMetric), readLines(paths.events, runEvent)]);
  return { metrics: curveOf(metrics), events };
};

/** One line a step, in order: a step that was done again after an interruption counts as it was done last. */
export function curveOf(metrics: readonly RunMetric[]): RunMetric[] {
  const curve: RunMetric[] = [];
  for (const metric of metrics) {
    while ((curve.at(-1)?.step ?? -1) > metric.step) curve.pop();
    const last = curve.at(-1);
    // Loss and evaluation of one step come as two lines.
    if (last?.step === metric.step)
      curve[curve.length - 1] = { ...(last.attempt === metric.attempt ? last : {}), ...metric };
    else curve.push(metric);
  }
  return curve;
}

/** All runs of an experiment as they are now, newest first. */
export async function runsOf(layout: Layout, experiment: string): Promise<RunRecord[]> {
  const names = await readdir(layout.runs).catch((thrown: unknown) => {
    if (isMissing(thrown)) return [];
    throw thrown;
  });
  const records = await Promise.all(names.map((name) => observeRun(runPaths(layout, name))));
  return records
    .filter((record) => record !== undefined)
    .filter(({ spec }) => spec.experiment === experiment)
    .sort((a, b) => (a.status.declaredAt < b.status.declaredAt ? 1 : -1));
}
