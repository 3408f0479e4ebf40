import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type RunMetric, runMetric } from "../../recipe/lifecycle.ts";
import type { Publisher } from "../artifacts/publisher.ts";
import { isMissing, sizeOf, writeAtomically } from "../files.ts";
import { type Checkpoint, removeAside, sortCheckpoints } from "./checkpoints.ts";
import type { Fence } from "./fence.ts";
import type { Journal } from "./journal.ts";
import { isPodRun } from "./pod-run.ts";
import { LineReader } from "./line-reader.ts";
import { oomKills } from "./oom.ts";
import { Pace } from "./pace.ts";
import { causeOf } from "./ranks.ts";
import { type ReportOf, timeOf, type TrainerReport, trainerReport } from "./reports.ts";
import { StallWatch } from "./stall.ts";
import { type Launch, lastLineOf, startTrainer, type Trainer, type TrainerCommand } from "./trainer.ts";
import type { SpotNotice } from "./spot-notice.ts";
import type { Timing } from "./timing.ts";
import type { TrainerEnd } from "./verdict.ts";

/** What an attempt needs to know. */
export interface AttemptPlan extends Pick<Launch, "layout" | "paths" | "spec" | "node"> {
  readonly journal: Journal;
  readonly trainer: TrainerCommand;
  readonly timing: Timing;
  readonly fence: Fence;
  /** Hears of each complete checkpoint. */
  readonly publisher?: Pick<Publisher, "checkpoint"> | undefined;
  /** Aborted when the run shall stop. */
  readonly stop: AbortSignal;
  /** Waits until this machine is about to be taken back. Default: it never is. */
  readonly notice?: ((signal: AbortSignal) => Promise<SpotNotice | undefined>) | undefined;
}

/** What people read while the trainer is in a phase. */
const phases: Readonly<Record<string, string>> = {
  importing: "loading Python packages (takes about 15 s)",
  loading: "loading the model and the datasets",
  preparing: "preparing the first step",
  training: "training",
  saving: "writing the result",
};

/** One start of the trainer, from the newest complete checkpoint to its end. Its reports become status, events and metrics. */
export class Attempt {
  readonly #plan: AttemptPlan;
  readonly #number: number;
  readonly #pace = new Pace();
  readonly #stall: StallWatch;
  /** Seconds without progress, where that is why it was stopped. */
  #stalled: number | undefined;
  #fault: ReportOf<"fault"> | undefined;
  #phase: string | undefined;
  /** The checkpoint that is gone on from, until the trainer has loaded it. */
  #unloaded: Checkpoint | undefined;
  #saved: number | undefined;
  /** Does it take steps, so that it can save one? */
  #hasBegun = false;

  constructor(plan: AttemptPlan) {
    this.#plan = plan;
    this.#number = plan.journal.status.attempt + 1;
    this.#stall = new StallWatch(plan.timing.stall, this.#pace, plan.paths);
  }

  /** Runs it. Resolves when the trainer has ended, with how. */
  async run(): Promise<TrainerEnd> {
    const { journal, paths, timing, fence, trainer: command } = this.#plan;
    this.#unloaded = await this.#prepare();
    const resume = this.#unloaded?.path;
    const reader = new LineReader(paths.reports, await sizeOf(paths.reports));
    const { layout, spec, node } = this.#plan;
    const kills = await oomKills();
    const launch = { layout, paths, spec, attempt: this.#number, resume, token: fence.token };
    const times = { saveSeconds: timing.save / 1000, stopSeconds: timing.stopGrace / 1000 };
    const trainer = await startTrainer(
      command,
      { ...launch, ...times, ...(node === undefined ? {} : { node }) },
      fence.guard,
    );
    this.#stall.started();
    if (!isPodRun(spec)) journal.update({ trainerPid: trainer.pid });
    const { code, signal, notStarted } = await this.#follow(trainer, reader);
    journal.update({ trainerPid: undefined, secondsLeft: undefined, tokensPerSecond: undefined });
    return {
      code,
      signal,
      fault: await causeOf(paths, this.#fault),
      ...(notStarted === undefined ? {} : { notStarted }),
      ...(this.#stalled === undefined ? {} : { stalled: this.#stalled }),
      oomKilled: kills !== (await oomKills()),
      lastWords: await lastLineOf(paths.log),
      step: journal.status.step,
      ...(this.#phase === undefined ? {} : { phase: this.#phase }),
      ...(this.#unloaded === undefined ? {} : { unloaded: this.#unloaded }),
      ...(this.#saved === undefined ? {} : { saved: this.#saved }),
      device: spec.device,
    };
  }

  /** Looks for the checkpoint to go on from and clears away what would be in its way. */
  async #prepare(): Promise<Checkpoint | undefined> {
    const { journal, paths, fence } = this.#plan;
    await removeAside(paths.ranks, paths.trash, fence.guard);
    const { newest, quarantined } = await sortCheckpoints(paths, fence.guard);
    for (const { name, why } of quarantined) {
      await journal.event("note", `${name} is not complete (${why}): not used, moved to torn/`);
    }
    if (newest === undefined) await removeAside(paths.output, paths.trash, fence.guard);
    else await trimLog(`${paths.output}/trainer_log.jsonl`, newest.step, fence.guard);
    const from = newest === undefined ? "from the start" : `from the checkpoint at step ${newest.step}`;
    await journal.event("attempt", `attempt ${this.#number}, ${from}`);
    await journal.enter("training", `starting ${from}`, {
      attempt: this.#number,
      step: newest?.step ?? 0,
      startedAt: journal.status.startedAt ?? new Date().toISOString(),
      loss: undefined,
      learningRate: undefined,
      fault: undefined,
    });
    return newest;
  }

  async #follow(trainer: Trainer, reader: LineReader): Promise<Awaited<Trainer["ended"]>> {
    const { stop, timing, journal, fence } = this.#plan;
    let killer: NodeJS.Timeout | undefined;
    const ask = (): void => {
      if (this.#stalled === undefined) journal.update({ detail: "stopping: saves a checkpoint first" });
      trainer.stop();
      killer ??= setTimeout(() => trainer.kill(), timing.stopGrace);
    };
    if (stop.aborted) ask();
    else stop.addEventListener("abort", ask, { once: true });
    let end: Awaited<Trainer["ended"]> | undefined;
    const over = new AbortController();
    void this.#saveAtNotice(trainer, over.signal).catch((thrown: unknown) => console.error(thrown));
    try {
      while (end === undefined) {
        end = await Promise.race([trainer.ended, delay(timing.poll, undefined)]);
        fence.guard();
        // Also once more after the end: its last reports may have come since.
        for (const line of await reader.read()) await this.#take(line);
        if (end !== undefined || this.#stalled !== undefined) continue;
        this.#stalled = await this.#stall.tooLong();
        if (this.#stalled !== undefined) ask();
      }
      return end;
    } finally {
      clearTimeout(killer);
      over.abort();
      // Something of ours failed: nobody would listen to it any more.
      if (end === undefined) trainer.kill();
      stop.removeEventListener("abort", ask);
      await reader.close();
    }
  }

  /** Two minutes are enough for a checkpoint and its way to the bucket; the training goes on meanwhile, since the machine may stay. */
  async #saveAtNotice(trainer: Trainer, signal: AbortSignal): Promise<void> {
    const { journal, notice } = this.#plan;
    const told = await notice?.(signal);
    if (told === undefined || signal.aborted) return;
    // A trainer that does not listen yet would be ended by that, and has nothing to save.
    if (this.#hasBegun) trainer.save();
    await journal.event(
      "note",
      `AWS takes this machine back at ${told.time}: a checkpoint is saved and published before`,
    );
  }

  async #take(line: string): Promise<void> {
    const report = parseReport(line);
    if (report === undefined) return;
    this.#stall.heard(report);
    const { journal } = this.#plan;
    switch (report.kind) {
      case "phase":
        this.#phase = report.phase;
        if (report.phase === "saving") await journal.enter("saving", phases["saving"] ?? "", { secondsLeft: 0 });
        else journal.update({ detail: phases[report.phase] ?? report.phase });
        break;
      case "begin":
        this.#unloaded = undefined;
        this.#hasBegun = true;
        this.#pace.begin({ ...report, at: timeOf(report) });
        journal.update({ step: report.step, totalSteps: report.total });
        break;
      case "step":
        this.#pace.add({ ...report, at: timeOf(report) });
        journal.update({
          step: report.step,
          totalSteps: report.total,
          tokensPerSecond: this.#pace.tokensPerSecond,
          secondsLeft: this.#pace.secondsFor(report.total - report.step),
        });
        break;
      case "log":
        journal.update({ ...measured("loss", report.loss), ...measured("learningRate", report.learningRate) });
        await journal.metric({ ...metricOf(report), ...measured("tokensPerSecond", this.#pace.tokensPerSecond) });
        break;
      case "checkpoint":
        // A fast trainer does not report each step, and the last one before a stop may be among those.
        journal.update({ step: report.step });
        if (report.resumable) this.#saved = report.step;
        if (report.resumable) this.#plan.publisher?.checkpoint(report.step, report.path);
        await journal.event("checkpoint", `checkpoint at step ${report.step}, ${report.bytes} bytes`);
        break;
      case "fault":
        this.#fault = report;
        break;
      default:
    }
  }
}

function measured<K extends string>(name: K, value: number | undefined): Partial<Record<K, number>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, number>);
}

/** A report of the trainer's as it stands in its file; undefined for a torn line or one of a newer trainer. */
export function parseReport(line: string): TrainerReport | undefined {
  try {
    return trainerReport.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** A metrics line from what the trainer logged. */
export function metricOf({ tokens, ...report }: ReportOf<"log">): RunMetric {
  return runMetric.parse({ ...report, ...measured("totalTokens", tokens) });
}

/** LLaMA-Factory appends to its log when it resumes: steps that will be done again are taken out first. */
async function trimLog(path: string, step: number, guard: () => void): Promise<void> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    if (isMissing(thrown)) return "";
    throw thrown;
  });
  const kept = text.split("\n").filter((line) => {
    try {
      return (JSON.parse(line) as { current_steps: number }).current_steps <= step;
    } catch {
      return false;
    }
  });
  if (text !== "") await writeAtomically(path, kept.map((line) => `${line}\n`).join(""), 0o600, guard);
}
