import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { canonicalJson } from "../../recipe/canonical.ts";
import { Fault } from "../../recipe/fault.ts";
import { type Layout, noAdapter } from "../../recipe/layout.ts";
import type { RunManifest, RunStatus } from "../../recipe/lifecycle.ts";
import { type RunSpec, runSpec } from "../../recipe/protocol.ts";
import { publishedFolder, type S3Access } from "../../recipe/s3-access.ts";
import { keepAccess } from "../artifacts/access.ts";
import { appendLine, readRecord, writeAtomically, writeJson } from "../files.ts";
import { isLocked, tryLock, withLock } from "../lock.ts";
import { keepAgent } from "../own-copy.ts";
import { issueToken } from "./fence.ts";
import { Journal } from "./journal.ts";
import { damageOf } from "./outputs.ts";
import { type RunPaths, runPaths } from "./paths.ts";
import { isPodRun } from "./pod-run.ts";
import { observeRun, readRun, type RunRecord } from "./record.ts";
import { bootIn, bootNow } from "./signals.ts";
import { idle } from "./status-patch.ts";

/** Starts a supervisor with its token, detached. Tests give it another trainer. */
export type StartSupervisor = (layout: Layout, paths: RunPaths, run: string, token: string) => void;

/**
 * Brings a declared run to life: complete stays complete, supervised stays supervised, everything else gets a supervisor. Any number
 * of callers may do so at once. `access`: how the bucket is reached that it publishes to. Throws Fault `run-differs` if another run was
 * declared under this name.
 */
export async function declareRun(
  layout: Layout,
  spec: RunSpec,
  start: StartSupervisor,
  signal: AbortSignal,
  access?: S3Access,
): Promise<RunStatus> {
  const paths = runPaths(layout, spec.run);
  return withLock(
    `${layout.locks}/declare-${spec.run}`,
    async () => {
      requireAdapter(spec.arguments["adapter_name_or_path"]);
      await mkdir(paths.directory, { recursive: true, mode: 0o700 });
      await keepSpec(paths, spec);
      if (access !== undefined && owes((await readRun(paths)) ?? bug(paths))) await keepAccess(paths, access);
      if (isPodRun(spec)) await keepAgent(layout.run(spec.run).agent);
      return isPodRun(spec) ? await queuePodRun(paths) : await revive(layout, paths, start, "declared", "declared");
    },
    { signal },
  );
}

/**
 * A run that its Pod will take up: `queued`, unless it is complete or a Pod works on it. Under the run's lock, so that a Pod that comes
 * meanwhile waits for a moment.
 */
async function queuePodRun(paths: RunPaths): Promise<RunStatus> {
  const lock = tryLock(paths.lock);
  const { manifest, status } = (await readRun(paths)) ?? bug(paths);
  if (lock === undefined) return status;
  try {
    const damage = manifest === undefined ? undefined : await damageOf(paths, manifest);
    if (manifest !== undefined && damage === undefined) return completeSince(status, manifest);
    const journal = new Journal(paths, status, rethrow);
    if (damage !== undefined) await discardResult(paths, journal, damage);
    await journal.event("declared", "declared");
    await journal.enter("queued", "its Pod starts", { ...idle, endedAt: undefined, fault: undefined });
    return journal.status;
  } finally {
    lock.release();
  }
}

/** Is something of the run still to be published? Always of one that is not complete. */
export function owes({ spec, status }: Pick<RunRecord, "spec" | "status">): boolean {
  const { artifacts, experiment, run } = spec;
  if (artifacts === undefined) return false;
  const isThere =
    status.published?.complete === true && status.published.address === publishedFolder(artifacts, experiment, run);
  return status.state !== "complete" || !isThere;
}

/** What declaring a complete run says. */
export function completeSince(status: RunStatus, { completedAt }: RunManifest): RunStatus {
  return { ...status, detail: `complete since ${completedAt}; it is not trained again` };
}

function rethrow(thrown: unknown): never {
  throw thrown;
}

/** An adapter to go on from must be there before a minute is spent on loading the model. Throws Fault `adapter-missing`. */
function requireAdapter(folders: unknown): void {
  if (typeof folders !== "string") return;
  const folder = folders.split(",").find((one) => !existsSync(`${one}/adapter_config.json`));
  if (folder === undefined) return;
  throw new Fault({ code: "adapter-missing", property: "model.adapter", ...noAdapter(folder) });
}

/** A run that lost its supervisor gets another one, unless somebody was faster. */
export async function reviveRun(
  layout: Layout,
  run: string,
  start: StartSupervisor,
  signal: AbortSignal,
): Promise<void> {
  const paths = runPaths(layout, run);
  const again = async (): Promise<void> => {
    const record = await observeRun(paths);
    if (record?.status.state === "interrupted") await revive(layout, paths, start, "attached", await whyAlone(paths));
  };
  await withLock(`${layout.locks}/declare-${run}`, again, { signal });
}

/** Why nobody supervises the run any more, as far as that can be told. */
async function whyAlone(paths: RunPaths): Promise<string> {
  const before = await bootIn(paths.supervisorPid);
  const rebooted = before !== undefined && before !== bootNow();
  return `${rebooted ? "the machine was started anew" : "nobody supervised it"}: a new supervisor is started`;
}

/** Brings a run to life again, unless it is complete or supervised. Under the lock of declarations alone; `why` is recorded. */
export async function revive(
  layout: Layout,
  paths: RunPaths,
  start: StartSupervisor,
  kind: "declared" | "attached",
  why: string,
): Promise<RunStatus> {
  const record = (await readRun(paths)) ?? bug(paths);
  const { manifest, status } = record;
  const damage = manifest === undefined ? undefined : await damageOf(paths, manifest);
  if (manifest !== undefined && damage === undefined) {
    if (owes(record) && !isLocked(paths.lock)) start(layout, paths, status.run, await issueToken(paths));
    return completeSince(status, manifest);
  }
  if (isLocked(paths.lock)) return status;
  const journal = new Journal(paths, status, rethrow);
  if (damage !== undefined) await discardResult(paths, journal, damage);
  await journal.event(kind, why);
  // From here on no other supervisor writes, one included that was started before and is slow to come.
  const token = await issueToken(paths);
  await journal.enter("queued", "its supervisor starts", { ...idle, endedAt: undefined, fault: undefined });
  start(layout, paths, status.run, token);
  return journal.status;
}

/** What was reported of a damaged result proves nothing any more: the trainer makes it again, from its last checkpoint. */
export async function discardResult(paths: RunPaths, journal: Journal, damage: string): Promise<void> {
  await journal.event("note", `its result is damaged and is made again: ${damage}`);
  const { attempt } = journal.status;
  await appendLine(paths.reports, { at: new Date().toISOString(), attempt, kind: "repair" });
  await rm(paths.manifest, { force: true });
}

function bug(paths: RunPaths): never {
  throw new Fault({ code: "run-unreadable", message: `${paths.spec} can't be read back.`, blame: "bug" });
}

/** Writes spec and YAML. The same run may be declared with other config for people, or from a data directory that was moved. */
async function keepSpec(paths: RunPaths, spec: RunSpec): Promise<void> {
  const before = await readRecord(paths.spec, runSpec);
  if (before !== undefined && deciding(before) !== deciding(spec)) {
    throw new Fault({
      code: "run-differs",
      message: `Run ${spec.run} was declared before with other arguments, so its name does not tell what it is.`,
      next: "Compare spec.json in its folder with the experiment, and report this.",
      blame: "bug",
    });
  }
  if (before !== undefined && canonicalJson(before) === canonicalJson(spec)) return;
  // The provider loads this file at its start, and yaml is an eighth of what it loads.
  const { toYaml } = await import("./to-yaml.ts");
  await writeAtomically(paths.config, toYaml(spec.arguments));
  await writeJson(paths.spec, spec);
}

/** What decides the result: without the device, the folders' place on the host, and what is only for people. */
function deciding(spec: RunSpec): string {
  const { output_dir: output } = spec.arguments;
  const rest = { ...spec.arguments, use_cpu: undefined, dataloader_pin_memory: undefined, output_dir: undefined };
  const root = typeof output === "string" ? output.split("/runs/")[0] : undefined;
  const text = canonicalJson({ experiment: spec.experiment, artifact: spec.artifact, arguments: rest });
  return root === undefined || root === "" ? text : text.replaceAll(`"${root}/`, '"');
}
