import { stat } from "node:fs/promises";
import {
  runEvent,
  type RunManifest,
  runManifest,
  runMetric,
  type RunState,
  runState,
  type RunStatus,
  runStatus,
} from "../../recipe/lifecycle.ts";
import { type RunSpec, runSpec } from "../../recipe/protocol.ts";
import { readLines, readRecord } from "../files.ts";
import { isLocked } from "../lock.ts";
import { isAlive } from "../processes.ts";
import type { RunPaths } from "./paths.ts";
import { isPodRun } from "./pod-run.ts";
import { idle, patched } from "./status-patch.ts";
import { standardTiming } from "./timing.ts";

/** Everything on disk about one run. */
export interface RunRecord {
  readonly spec: RunSpec;
  readonly status: RunStatus;
  readonly manifest: RunManifest | undefined;
}

/** A run that does nothing any more unless it is declared again. */
export function isTerminal(state: RunState): boolean {
  return state === "complete" || state === "failed" || state === "stopped";
}

/** The run as recorded; undefined if nothing was declared. A torn status is rebuilt from what else there is. */
export async function readRun(paths: RunPaths): Promise<RunRecord | undefined> {
  const spec = await readRecord(paths.spec, runSpec);
  if (spec === undefined) return undefined;
  const manifest = await readRecord(paths.manifest, runManifest);
  const status = (await readRecord(paths.status, runStatus)) ?? (await rebuildStatus(paths, spec));
  return { spec, manifest, status: manifest === undefined ? withoutManifest(status) : withManifest(status, manifest) };
}

/** The run as it is now: `interrupted` where the record says that something goes on and nobody is there to do it. */
export async function observeRun(paths: RunPaths): Promise<RunRecord | undefined> {
  // The lock first: a supervisor that ends in between has written its last word by then.
  const supervised = isLocked(paths.lock);
  const record = await readRun(paths);
  if (record === undefined || supervised || isTerminal(record.status.state) || isStarting(record)) return record;
  const isPods = isPodRun(record.spec);
  // The cluster takes its time: for an image, for a node with a GPU.
  if (isPods && record.status.state === "queued") return record;
  const detail = isPods ? "waits for its next Pod" : "nobody supervises it: declare it again to go on";
  return { ...record, status: patched(record.status, { ...idle, state: "interrupted", detail }) };
}

/** Its supervisor may not have come to its lock yet. */
function isStarting({ spec, status }: RunRecord): boolean {
  // In a Pod the lock is taken first, and the record changed under it.
  if (isPodRun(spec)) return false;
  if (status.supervisorPid !== undefined && !isAlive(status.supervisorPid)) return false;
  // A clock that was set back must not make it start for an hour.
  return Math.abs(Date.now() - Date.parse(status.updatedAt)) < standardTiming.startGrace;
}

/** The manifest is written last and decides: with it a run is complete whatever its status says. */
function withManifest(status: RunStatus, manifest: RunManifest): RunStatus {
  if (status.state === "complete") return status;
  const { step, totalSteps, completedAt: endedAt } = manifest;
  const facts = { state: "complete", step, totalSteps, endedAt, detail: "complete", fault: undefined } as const;
  return patched(status, { ...idle, ...facts });
}

function withoutManifest(status: RunStatus): RunStatus {
  if (status.state !== "complete") return status;
  return { ...status, state: "interrupted", detail: "its manifest is missing: declare it again to repair it" };
}

/** What spec, events and metrics say of a run whose status.json is torn. */
async function rebuildStatus(paths: RunPaths, spec: RunSpec): Promise<RunStatus> {
  const [events, metrics, { mtime }] = await Promise.all([
    readLines(paths.events, runEvent),
    readLines(paths.metrics, runMetric),
    stat(paths.spec),
  ]);
  const last = events.findLast(({ kind }) => kind === "state");
  const [word = "", ...told] = (last?.message ?? "").split(": ");
  const state = runState.safeParse(word).data ?? "queued";
  const metric = metrics.at(-1);
  return {
    schemaVersion: 1,
    run: spec.run,
    state,
    attempt: events.filter(({ kind }) => kind === "attempt").length,
    step: metric?.step ?? 0,
    totalSteps: 0,
    ...(metric?.loss === undefined ? {} : { loss: metric.loss }),
    ...(metric?.learningRate === undefined ? {} : { learningRate: metric.learningRate }),
    declaredAt: events.find(({ kind }) => kind === "declared")?.at ?? mtime.toISOString(),
    updatedAt: last?.at ?? mtime.toISOString(),
    ...(told.length === 0 ? {} : { detail: told.join(": ") }),
    ...(state === "failed" ? { fault: { code: "run-failed", message: told.join(": ") } } : {}),
  };
}
