import { watch } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { Fault } from "../recipe/fault.ts";
import { type Layout, layoutOf } from "../recipe/layout.ts";
import { environmentRecord } from "../recipe/lifecycle.ts";
import { type LogPosition, runSpec } from "../recipe/protocol.ts";
import type { CommandOutput, Context, Handler } from "./context.ts";
import { gatewayFiles } from "./endpoints/endpoint-records.ts";
import { bytesBelow, isMissing, readRecord } from "./files.ts";
import { type HeldLock, tryLock } from "./lock.ts";
import { runsOf } from "./runs/commands.ts";
import { LineReader } from "./runs/line-reader.ts";
import { runPaths } from "./runs/paths.ts";

type Usage = CommandOutput<"usage">;

/** Everything in the data directory that only this experiment has: its runs, its endpoint, datasets that no other run names. */
interface Belongings {
  readonly runs: readonly string[];
  readonly datasets: readonly string[];
}

const datasetFolder = z.object({ dataset_dir: z.string() });

async function belongingsOf(layout: Layout, experiment: string): Promise<Belongings> {
  const [mine, others] = [new Set<string>(), new Set<string>()];
  const runs: string[] = [];
  for (const run of await namesIn(layout.runs)) {
    const spec = await readRecord(layout.run(run).spec, runSpec);
    // A run whose spec is torn still has its name: the experiment's, then 12 digits.
    const isMine = spec === undefined ? nameOf(run) === experiment : spec.experiment === experiment;
    if (isMine) runs.push(run);
    const folder = datasetFolder.safeParse(spec?.arguments).data?.dataset_dir;
    if (folder !== undefined) (isMine ? mine : others).add(folder);
  }
  const inside = (folder: string): boolean => dirname(folder) === layout.datasets;
  return { runs, datasets: [...mine].filter((folder) => !others.has(folder) && inside(folder)) };
}

function nameOf(run: string): string | undefined {
  return /^(.+)-[0-9a-f]{12}$/.exec(run)?.[1];
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
}

async function measure(what: string, path: string): Promise<Usage> {
  const bytes = await bytesBelow(path);
  return bytes === 0 ? [] : [{ what, path, bytes }];
}

async function measureOwn(layout: Layout, experiment: string, { runs, datasets }: Belongings): Promise<Usage> {
  return [
    ...(await Promise.all(runs.map((run) => measure(`run ${run}`, layout.run(run).directory)))),
    await measure("endpoint", layout.endpoint(experiment).directory),
    ...(await Promise.all(datasets.map((path) => measure(`dataset ${basename(path).slice(0, 12)}`, path)))),
  ].flat();
}

/** What this experiment takes in the data directory, then what it shares with others (environments and weights). */
export const usage: Handler<"usage"> = async ({ dataDirectory, experiment }) => {
  const layout = layoutOf(dataDirectory);
  const own = await measureOwn(layout, experiment, await belongingsOf(layout, experiment));
  const environments = (await namesIn(layout.env)).map(async (name) => {
    const path = join(layout.env, name);
    // Its 50,000 files were counted when it was made.
    const bytes = (await readRecord(join(path, ".complete"), environmentRecord))?.bytes;
    const what = `environment ${name} (shared)`;
    return bytes === undefined ? measure(what, path) : [{ what, path, bytes }];
  });
  const models = (await namesIn(layout.models)).map((name) =>
    measure(`weights ${name} (shared)`, join(layout.models, name)),
  );
  const shared = await Promise.all([
    ...environments,
    ...models,
    measure("pushed packages (shared)", layout.wheels),
    measure("caches (shared)", `${layout.root}/cache`),
  ]);
  return [...own, ...shared.flat()];
};

/**
 * Deletes the experiment's runs, its endpoint with its key, and datasets that no other run names; returns what was deleted.
 * Environments and weights stay. Throws Fault `in-use` while a run or the endpoint is alive.
 */
export const purge: Handler<"purge"> = async ({ dataDirectory, experiment }) => {
  const layout = layoutOf(dataDirectory);
  const belongings = await belongingsOf(layout, experiment);
  const endpoint = layout.endpoint(experiment);
  const held: HeldLock[] = [];
  try {
    // Held until all is gone, so that nothing comes alive in what is being deleted.
    for (const run of belongings.runs) {
      const { lock, trainerLock } = runPaths(layout, run);
      held.push(lockOrRefuse(lock, `run ${run} is training`), lockOrRefuse(trainerLock, `run ${run} is training`));
    }
    const hasEndpoint = (await namesIn(endpoint.directory)).length > 0;
    if (hasEndpoint) held.push(lockOrRefuse(endpoint.lock, "its endpoint is alive"));
    const deleted = await measureOwn(layout, experiment, belongings);
    const folders = [...belongings.runs.map((run) => layout.run(run).directory), endpoint.directory];
    for (const folder of [...folders, ...belongings.datasets]) {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
    return deleted;
  } finally {
    for (const lock of held) lock.release();
  }
};

function lockOrRefuse(path: string, why: string): HeldLock {
  const lock = tryLock(path);
  if (lock !== undefined) return lock;
  throw new Fault({
    code: "in-use",
    message: `The data can't be deleted: ${why}.`,
    next: "Run `npx tuneup down` first.",
  });
}

/** Longest time until a line is seen where the file system tells nothing of changes (network mounts). */
const followInterval = 1000;

/**
 * Sends the last lines of the newest run's trainer log, or of the endpoint's, then those that come, until the caller goes away.
 * The file may not be there yet, and may be replaced. Throws Fault `no-logs` if there is nothing to show and nothing to follow.
 */
export const logs: Handler<"logs"> = async ({ dataDirectory, experiment, of, follow, lines, from }, context) => {
  const layout = layoutOf(dataDirectory);
  const path =
    of === "endpoint" ? gatewayFiles(layout, experiment).log : await runLog(layout, experiment, follow, context);
  const text = await readFile(path).catch((thrown: unknown) => {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  });
  if (text === undefined && !follow) {
    throw new Fault({
      code: "no-logs",
      message: `There is no log of the ${of} of ${experiment} yet (${path}).`,
      next: "`npx tuneup up` starts it; `npx tuneup logs -f` waits for it.",
    });
  }
  // An unfinished last line is sent whole by the reader when we follow.
  const end = follow ? (text?.lastIndexOf(10) ?? -1) + 1 : (text?.length ?? 0);
  const known = from?.path === path && from.bytes <= end ? from.bytes : undefined;
  const there = text?.subarray(known, end).toString("utf8").replace(/\n$/, "") ?? "";
  if (there !== "" && (known !== undefined || lines > 0)) {
    tell(there.split("\n").slice(known === undefined ? -lines : 0), { path, bytes: end }, context);
  }
  if (follow) await followFile(path, end, context);
  return {};
};

/** The lines, and with the last of them where it ends: a caller that was cut off goes on there. */
function tell(lines: readonly string[], at: LogPosition, context: Context): void {
  for (const [index, line] of lines.entries()) context.data(line, index === lines.length - 1 ? at : undefined);
}

/** The newest run's log. `follow` waits for the first run. */
async function runLog(layout: Layout, experiment: string, follow: boolean, { signal }: Context): Promise<string> {
  for (;;) {
    const newest = (await runsOf(layout, experiment))[0];
    if (newest !== undefined) return layout.run(newest.spec.run).log;
    if (!follow) {
      throw new Fault({
        code: "no-logs",
        message: `The experiment ${experiment} has no run in ${layout.root}.`,
        next: "`npx tuneup up` starts one.",
      });
    }
    await delay(followInterval, undefined, { signal });
  }
}

async function followFile(path: string, offset: number, context: Context): Promise<void> {
  const { signal } = context;
  const reader = new LineReader(path, offset);
  try {
    for (;;) {
      const changed = changeIn(dirname(path), signal);
      const lines = await reader.read();
      tell(lines, { path, bytes: reader.position }, context);
      await changed;
      signal.throwIfAborted();
    }
  } finally {
    await reader.close();
  }
}

/** Resolves when something in the folder changes, after a second, or when aborted. Watches from the call on. */
async function changeIn(folder: string, signal: AbortSignal): Promise<void> {
  const change = new AbortController();
  const over = AbortSignal.any([signal, change.signal]);
  let watcher;
  try {
    watcher = watch(folder, () => change.abort());
    watcher.on("error", () => change.abort());
  } catch {
    // The folder is not there yet: the timer looks for it.
  }
  await delay(followInterval, undefined, { signal: over }).catch(() => undefined);
  watcher?.close();
}
