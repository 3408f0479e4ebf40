import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { asFault, Fault, type FaultFacts } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import { type RunManifest, runMetric, type RunStatus } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { isReplaceable } from "../resume/record.ts";
import { Publisher } from "../artifacts/publisher.ts";
import { readLines } from "../files.ts";
import { diskFullFault, freeBytes, saysDiskFull } from "../folders.ts";
import { isLocked, waitForLock } from "../lock.ts";
import { Attempt, metricOf } from "./attempt.ts";
import { type Checkpoint, emptyTrash, quarantine, removeAside } from "./checkpoints.ts";
import { writeResult } from "./completion.ts";
import type { Fence } from "./fence.ts";
import type { Journal } from "./journal.ts";
import { breakLeaseOf, takeTrainerLease } from "./lease.ts";
import type { RunPaths } from "./paths.ts";
import { trainerReport } from "./reports.ts";
import { signalTrainer } from "./signals.ts";
import { spotNotice } from "./spot-notice.ts";
import { idle, type StatusPatch } from "./status-patch.ts";
import type { NodePlace, TrainerCommand } from "./trainer.ts";
import type { Timing } from "./timing.ts";
import { damaged, fullDisk, isSame, judge, type TrainerEnd, unloadable, type Verdict, withoutIt } from "./verdict.ts";

/** What the holder of a run's lock takes to the run's end. */
export interface SupervisionPlan {
  readonly layout: Layout;
  readonly paths: RunPaths;
  readonly spec: RunSpec;
  readonly journal: Journal;
  readonly trainer: TrainerCommand;
  readonly timing: Timing;
  readonly fence: Fence;
  /** Aborted by a signal, which is its reason. */
  readonly stop: AbortSignal;
  /** Set in a Pod. */
  readonly pod?: PodPlan;
}

/** What else holds in a Pod. */
export interface PodPlan {
  /** Its processes train with those of other Pods: when one fails, all start again, by the cluster. So there is one attempt in a Pod. */
  readonly oneAttempt: boolean;
  /** The first node of several. */
  readonly node?: NodePlace;
  /** How the Pod before failed. */
  readonly previous: RunStatus["fault"];
}

/** Runs it until it is complete, failed or stopped, and writes which. Our own trouble makes it fail. */
export async function takeToItsEnd(plan: SupervisionPlan): Promise<void> {
  const { journal, paths, pod } = plan;
  const publisher = Publisher.of(plan);
  await new Supervision(plan, publisher).run().catch(async (thrown: unknown) => {
    console.error(thrown);
    const fault = await troubleOf(thrown, paths.directory);
    await fail(journal, fault, pod !== undefined && fault.blame !== "user");
  });
  await publisher?.end();
}

/** `nextPod`: the cluster may start another one, and it may do better. */
async function fail(journal: Journal, fault: Fault, nextPod: boolean): Promise<void> {
  const more = nextPod ? ({ nextPod } as const) : {};
  await journal.enter("failed", fault.sentence, { fault: fault.toFacts(), ...ended(), ...more });
  await journal.event("fault", fault.sentence);
}

/** Our own trouble: a full disk is told as such. */
export async function troubleOf(thrown: unknown, folder: string): Promise<Fault> {
  const fault = asFault(thrown);
  return fault.blame === "bug" && saysDiskFull(fault.message) ? diskFullFault("this run", folder) : fault;
}

function ended(): StatusPatch {
  return { ...idle, endedAt: new Date().toISOString() };
}

/** Bytes that must be free before a run that filled the disk is tried again: room for logs beside a small adapter. */
const leastRoom = 200_000_000;

/** With less than this free, a disk is full. */
const fullBelow = 5_000_000;

/** One supervision of a run. */
class Supervision {
  readonly #plan: SupervisionPlan;
  readonly #publisher: Publisher | undefined;
  /** What was wrong with the result of the last attempt, if it had one. */
  #problem: string | undefined;
  #hasSetAside = false;

  constructor(plan: SupervisionPlan, publisher: Publisher | undefined) {
    this.#plan = plan;
    this.#publisher = publisher;
  }

  async run(): Promise<void> {
    const { layout, paths, spec, journal, fence, stop } = this.#plan;
    await emptyTrash(paths.trash);
    await this.#awaitOrphan();
    await breakLeaseOf(layout, spec.run, paths);
    await this.#catchUp();
    if (await this.#completeIfDone()) return;
    const published = await this.#publisher?.begin();
    if (published !== undefined) return this.#finished(published);
    // A Pod's GPU is its own: the cluster gave it.
    if (this.#plan.pod !== undefined) return this.#attempts();
    const lease = await takeTrainerLease(
      layout,
      { run: spec.run, token: fence.token },
      {
        signal: stop,
        onWait: (holder) => void journal.enter("queued", `waits for ${holder ?? "another run"} to end on this host`),
      },
    ).catch(() => undefined);
    if (lease === undefined) return this.#stopped();
    try {
      await this.#attempts();
    } finally {
      lease.release();
    }
  }

  async #attempts(): Promise<void> {
    const { pod } = this.#plan;
    const node = pod?.node === undefined ? {} : { node: pod.node };
    let previous: Pick<FaultFacts, "code" | "message"> | undefined =
      pod?.oneAttempt === true ? pod.previous : undefined;
    let [waits, furthest] = [0, -1];
    for (;;) {
      if (this.#isStopping()) return this.#stopped();
      await this.#plan.journal.reserveSpace();
      const notice = isReplaceable(this.#plan.layout.root) ? spotNotice : undefined;
      const end = await new Attempt({ ...this.#plan, ...node, notice, publisher: this.#publisher }).run();
      if (await this.#completeIfDone()) return;
      if (this.#isStopping()) return this.#stopped();
      // It came further than ever: whatever happened before is behind it, and it has all its attempts again.
      if ((end.saved ?? -1) > furthest) {
        [waits, furthest] = [0, end.saved ?? -1];
        previous = undefined;
      }
      const verdict = await this.#judge(end);
      const again = verdict.retry === "once" && previous !== undefined && isSame(previous, verdict.fault);
      const taken = verdict.retry === "never" || again ? undefined : await this.#wait(verdict, waits);
      if (taken === undefined) return this.#fail(verdict, waits + 1, again);
      waits += taken;
      previous = verdict.fault;
    }
  }

  /** Waits before the next attempt, for room on the disk as often as waits are left. How many it took; undefined if that was all in vain. */
  async #wait(verdict: Verdict, before: number): Promise<number | undefined> {
    const { journal, timing, stop, pod } = this.#plan;
    const backoff = pod?.oneAttempt === true ? [] : timing.backoff;
    for (let taken = 1; ; taken++) {
      const wait = backoff[before + taken - 1];
      if (wait === undefined) return undefined;
      await journal.event("retry", `${verdict.fault.message} Tries again in ${wait / 1000} s.`);
      await journal.enter("training", `tries again in ${wait / 1000} s: ${verdict.fault.message}`);
      await delay(wait, undefined, { signal: stop }).catch(() => undefined);
      if (verdict.retry !== "room" || this.#isStopping() || !(await this.#lacksRoom())) return taken;
    }
  }

  /** `again`: the same as at the attempt before. */
  async #fail(verdict: Verdict, attempts: number, again: boolean): Promise<void> {
    const { journal, pod } = this.#plan;
    const fault = await this.#told(verdict, attempts);
    const isLast = fault.blame === "user" && (pod?.oneAttempt !== true || verdict.retry === "never" || again);
    await fail(journal, fault, pod !== undefined && !isLast);
  }

  #isStopping(): boolean {
    return this.#plan.stop.aborted;
  }

  async #judge(end: TrainerEnd): Promise<Verdict> {
    const verdict = this.#problem === undefined ? judge(end) : damaged(this.#problem);
    const culprit = this.#hasSetAside ? undefined : unloadable(end, verdict);
    if (culprit !== undefined) return this.#setAside(culprit, verdict);
    // Many libraries don't say that the disk was full when they failed.
    const isFull = verdict.retry !== "never" && (await freeBytes(this.#plan.paths.directory)) < fullBelow;
    return isFull ? fullDisk : verdict;
  }

  /** One checkpoint at most is taken for the culprit: the next failure of the kind is not the checkpoints'. */
  async #setAside(culprit: Checkpoint, verdict: Verdict): Promise<Verdict> {
    const { journal, paths, fence } = this.#plan;
    this.#hasSetAside = true;
    await quarantine(culprit.path, paths, fence.guard);
    await journal.event("note", `${basename(culprit.path)} can't be loaded: not used, moved to torn/`);
    return withoutIt(culprit, verdict);
  }

  /** The fault as it is stored: a full disk in bytes, a fault that came back with how often. */
  async #told({ retry, fault }: Verdict, attempts: number): Promise<Fault> {
    if (retry === "room") return diskFullFault("this run", this.#plan.paths.directory);
    return new Fault(
      attempts === 1 ? fault : { ...fault, message: `${fault.message} This was attempt ${attempts} in a row.` },
    );
  }

  async #lacksRoom(): Promise<boolean> {
    const { torn, trash } = this.#plan.paths;
    await removeAside(torn, trash, this.#plan.fence.guard);
    return (await freeBytes(this.#plan.paths.directory)) < leastRoom;
  }

  /** A trainer whose supervisor died saves a checkpoint and ends by itself; one that hangs is killed. */
  async #awaitOrphan(): Promise<void> {
    const { journal, paths, timing, pod, stop } = this.#plan;
    if (!isLocked(paths.trainerLock)) return;
    await journal.event("note", "waits for the trainer of a supervisor that died: it saves a checkpoint and ends");
    // One in another Pod can't be reached: it ends with its Pod.
    const signal = async (name: "SIGTERM" | "SIGKILL") => pod === undefined && signalTrainer(paths, name);
    const kill = setTimeout(() => void signal("SIGKILL"), timing.stopGrace);
    await signal("SIGTERM");
    const patience = pod === undefined ? {} : { signal: stop };
    const lock = await waitForLock(paths.trainerLock, patience)
      .catch(() => undefined)
      .finally(() => clearTimeout(kill));
    lock?.release();
  }

  /** Takes in what the trainer reported when nobody listened. */
  async #catchUp(): Promise<void> {
    const { journal, paths } = this.#plan;
    // Not by their times alone: a clock that was set back would hide what came after.
    const nameOf = ({ at, attempt, step }: { at: string; attempt: number; step: number }) => `${at} ${attempt} ${step}`;
    const known = new Set((await readLines(paths.metrics, runMetric)).map(nameOf));
    for (const report of await readLines(paths.reports, trainerReport)) {
      if (report.kind === "log" && !known.has(nameOf(report))) await journal.metric(metricOf(report));
    }
  }

  /** Completes the run if the trainer reported that all steps are done and the result is whole. */
  async #completeIfDone(): Promise<boolean> {
    const { journal, paths, fence } = this.#plan;
    const { done, problem } = await writeResult(this.#plan);
    this.#problem = problem;
    if (done === undefined) return false;
    await journal.enter("complete", `all ${done.step} steps are done`, { ...ended(), ...done, fault: undefined });
    for (const folder of [paths.cache, paths.torn]) await removeAside(folder, paths.trash, fence.guard);
    return true;
  }

  /** Another host took it to its end, and what it left is here now. */
  async #finished({ step, totalSteps, finalLoss }: RunManifest): Promise<void> {
    const { journal, spec } = this.#plan;
    const loss = finalLoss === undefined ? {} : { loss: finalLoss };
    const facts = { ...ended(), ...loss, step, totalSteps, fault: undefined };
    await journal.enter("complete", `brought from ${spec.artifacts ?? ""}; it is not trained again`, facts);
  }

  async #stopped(): Promise<void> {
    const { journal } = this.#plan;
    const { step, totalSteps } = journal.status;
    const where = totalSteps === 0 ? "before its first step" : `after step ${step} of ${totalSteps}`;
    const isPods = this.#plan.pod !== undefined && this.#plan.stop.reason !== "SIGINT";
    const told = isPods ? "its Pod was ended; the next one goes on from its checkpoint" : undefined;
    if (told === undefined) await journal.enter("stopped", `stopped ${where}`, ended());
    else await journal.enter("stopped", `stopped ${where}: ${told}`, { ...ended(), nextPod: true });
  }
}
