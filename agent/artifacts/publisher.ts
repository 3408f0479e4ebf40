import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { canonicalJson } from "../../recipe/canonical.ts";
import { asFault, type Blame, Fault } from "../../recipe/fault.ts";
import { type FileDigest, type RunManifest, runManifest, type RunStatus } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { filesBelow, isMissing, readRecord } from "../files.ts";
import type { Fence } from "../runs/fence.ts";
import type { Journal } from "../runs/journal.ts";
import type { RunPaths } from "../runs/paths.ts";
import type { Timing } from "../runs/timing.ts";
import { listObjects, openBucket } from "../s3/bucket.ts";
import { deleteBelow, uploadFile } from "../s3/upload.ts";
import { currentAccess, dropAccess } from "./access.ts";
import { Claim, type OwnerRecord, type Place, placeOfRun, readSmall, writeSmall } from "./claim.ts";
import { folderOfLinks } from "./folder-of-links.ts";
import { restore } from "./restore.ts";

/** What publishing a run needs to know. */
export interface PublisherPlan {
  readonly paths: RunPaths;
  readonly spec: RunSpec;
  readonly journal: Journal;
  readonly timing: Pick<Timing, "backoff">;
  readonly fence: Pick<Fence, "guard" | "token">;
  /** Aborted when the run shall stop. */
  readonly stop: AbortSignal;
}

/** How often something is tried, by who is to blame. */
type Tries = Readonly<Record<Blame, number>>;

/** Before the training: it does not wait for a bucket that refuses. */
const firstTries: Tries = { infrastructure: 4, user: 1, bug: 1 };
/** Beside it. */
const endless: Tries = { infrastructure: Infinity, user: Infinity, bug: Infinity };
/** After it: half an hour for the network, two minutes for whoever mends what is refused. */
const lastTries: Tries = { infrastructure: 30, user: 5, bug: 5 };
const oneTry: Tries = { infrastructure: 1, user: 1, bug: 1 };

/** A folder on its way. */
interface Sending {
  /** Known once the run is ours. */
  folder?: string;
  /** What of it is there already. */
  readonly sent: Map<string, FileDigest>;
}

/** Publishes the checkpoints and the result of one supervision beside its training, which waits for none of it. */
export class Publisher {
  readonly #plan: PublisherPlan;
  readonly #place: Place;
  readonly #claim: Claim;
  /** Aborted when a checkpoint is of no use any more. */
  readonly #checkpoints = new AbortController();
  /** Aborted when no other try shall be waited for. */
  readonly #hurry = new AbortController();
  #next: { readonly step: number; readonly path: string } | undefined;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #isOver = false;
  #count = 0;

  /** Undefined where the run is published nowhere. */
  static of(plan: PublisherPlan): Publisher | undefined {
    return plan.spec.artifacts === undefined ? undefined : new Publisher(plan, plan.spec.artifacts);
  }

  private constructor(plan: PublisherPlan, artifacts: string) {
    this.#plan = plan;
    const { experiment, run } = plan.spec;
    const access = () => currentAccess(plan.paths);
    this.#place = placeOfRun({ artifacts, experiment, run }, (bucket) => openBucket(bucket, access, "artifacts"));
    this.#claim = new Claim(this.#place, hostname(), plan.fence.token);
  }

  /**
   * Takes the run over from whoever published it, and brings what is further than what is here. Returns the artifact's manifest if that made
   * the run complete. What the bucket refuses is told, and the run goes on with what is here.
   */
  async begin(): Promise<RunManifest | undefined> {
    const { journal, paths, fence, stop } = this.#plan;
    await rm(paths.leaving, { recursive: true, force: true });
    this.#tell({});
    const note = (message: string) => journal.event("note", message);
    const { bucket, prefix, address } = this.#place;
    const brought = await this.#insist(stop, firstTries, async (signal) => {
      const record = await this.#claim.take(signal);
      const objects = await listObjects(bucket, prefix, signal);
      this.#tell({ step: record.checkpoints.at(-1)?.step });
      const found = await restore({ place: this.#place, paths, record, objects, guard: fence.guard, note, signal });
      await this.#sweep(record, record.generation, signal);
      return found;
    });
    if (typeof brought !== "number") return brought;
    await note(`the checkpoint at step ${brought} was brought from ${address}`);
    return undefined;
  }

  /** Takes notice of a checkpoint that is complete: it is published beside the training. Of several that wait the newest is. */
  checkpoint(step: number, path: string): void {
    this.#next = { step, path };
    if (!this.#isWorking) this.#working = this.#work();
  }

  /** Publishes what the run has left, or the last checkpoint where it was stopped; then the keys are let go. */
  async end(): Promise<void> {
    const { journal, paths, stop } = this.#plan;
    const { state } = journal.status;
    this.#hurry.abort();
    // One that failed may be declared again at once: its lock must be free then.
    if (state !== "stopped") this.#checkpoints.abort();
    await this.#working;
    if (state === "complete") {
      const sending: Sending = { sent: new Map() };
      const send = (signal: AbortSignal) => this.#sendArtifact(sending, signal);
      // A signal ends it, unless that was to end the training: the artifact stays where it is.
      if (stop.aborted) await this.#insist(new AbortController().signal, oneTry, send);
      else await this.#insist(stop, lastTries, send);
    }
    if (journal.status.nextPod !== true) await dropAccess(paths);
    await journal.flush();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    const { signal } = this.#checkpoints;
    for (let next = this.#next; next !== undefined && !signal.aborted; next = this.#next) {
      this.#next = undefined;
      const [{ step, path }, sending]: [typeof next, Sending] = [next, { sent: new Map() }];
      await this.#insist(signal, endless, (both) => this.#sendCheckpoint(step, path, sending, both));
    }
    this.#isWorking = false;
  }

  /**
   * Does it until it is done, is not ours any more, something newer waits, or there are no tries left. Each new reason why it can't be done is
   * an event and in the status.
   */
  async #insist<T>(
    signal: AbortSignal,
    tries: Tries,
    what: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    const { timing, journal } = this.#plan;
    const isBeside = tries === endless;
    const isAborted = (): boolean => signal.aborted;
    for (let failed = 1; !this.#isOver && !isAborted(); failed++) {
      try {
        return await what(signal);
      } catch (thrown) {
        // A checkpoint that the trainer has dropped meanwhile: a newer one is there.
        if (isAborted() || (isBeside && isMissing(thrown))) return undefined;
        const fault = asFault(thrown);
        this.#isOver = fault.code === "artifacts-overtaken" || fault.code === "artifacts-unreadable";
        if (journal.status.published?.fault?.code !== fault.code) await journal.event("fault", fault.sentence);
        this.#tell({ fault: fault.toFacts() });
        const isLast = isBeside && (this.#hurry.signal.aborted || this.#next !== undefined);
        if (isLast || failed >= tries[fault.blame]) return undefined;
        const wait = timing.backoff[Math.min(failed, timing.backoff.length) - 1] ?? 0;
        const awake = isBeside ? AbortSignal.any([signal, this.#hurry.signal]) : signal;
        await delay(wait, undefined, { signal: awake }).catch(() => undefined);
      }
    }
    return undefined;
  }

  async #sendCheckpoint(step: number, path: string, sending: Sending, signal: AbortSignal): Promise<void> {
    const { paths, spec, journal, fence } = this.#plan;
    const { checkpoints } = await this.#claim.take(signal);
    // Another host came further.
    if (checkpoints.some((one) => one.step >= step)) return;
    const folder = (sending.folder ??= this.#name(`checkpoint-${step}`));
    const aside = join(paths.leaving, folder);
    const links = await folderOfLinks(path, aside);
    const names = await filesBelow(links);
    try {
      await this.#send(
        sending,
        names.map((name) => [name, join(links, name)] as const),
        signal,
      );
    } finally {
      fence.guard();
      await rm(aside, { recursive: true, force: true });
    }
    const limit = Number(spec.arguments["save_total_limit"] ?? 2);
    let dropped: OwnerRecord["checkpoints"] = [];
    await this.#claim.commit((record) => {
      const all = [...record.checkpoints, { folder, step, files: [...sending.sent.values()] }];
      dropped = all.slice(0, -limit);
      return { ...record, checkpoints: all.slice(-limit) };
    }, signal);
    const { bucket, prefix, address } = this.#place;
    this.#tell({ step });
    await journal.event("note", `the checkpoint at step ${step} is in ${address}`);
    for (const { folder: old } of dropped) {
      await deleteBelow(bucket, `${prefix}${old}/`, signal).catch((thrown: unknown) => console.error(thrown));
    }
  }

  async #sendArtifact(sending: Sending, signal: AbortSignal): Promise<void> {
    const { paths, journal } = this.#plan;
    const result = await readRecord(paths.manifest, runManifest);
    if (result === undefined) return;
    let record = await this.#claim.take(signal);
    const shown = await readSmall(this.#place, "manifest.json", signal);
    const before = record.artifact;
    if (before === undefined || canonicalJson(before.result) !== canonicalJson(result)) {
      const folder = (sending.folder ??= this.#name("artifact"));
      const files = result.files.map(({ path }) => [path, join(paths.output, path)] as const);
      await this.#send(sending, [...files, ["train.yaml", paths.config]], signal);
      const changed = result.files.find(({ path, sha256 }) => sending.sent.get(path)?.sha256 !== sha256);
      if (changed !== undefined) throw wasChanged(changed.path);
      const artifact = { folder, step: result.step, files: [...sending.sent.values()], result };
      record = await this.#claim.commit((now) => ({ ...now, artifact }), signal);
    }
    // For people and other programs. It is refused where somebody else has published since: then theirs is there.
    const { artifact, generation } = record;
    await writeSmall(this.#place, ["manifest.json", { generation, ...artifact }], shown?.etag, signal);
    this.#tell({ complete: true });
    await this.#sweep(record, generation + 1, signal);
    await journal.event("note", `the artifact is in ${this.#place.address}`);
  }

  /** Sends the files that were not sent by an earlier try. */
  async #send(
    { folder = "", sent }: Sending,
    files: readonly (readonly [path: string, file: string])[],
    signal: AbortSignal,
  ): Promise<void> {
    const { bucket, prefix } = this.#place;
    for (const [path, file] of files) {
      if (sent.has(path)) continue;
      this.#plan.fence.guard();
      sent.set(path, {
        path,
        ...(await uploadFile(bucket, { path: file, key: `${prefix}${folder}/${path}` }, signal)),
      });
    }
  }

  /** Deletes what was sent by generations below that and is not named: nobody will. What stays costs a little and harms nobody. */
  async #sweep({ checkpoints, artifact }: OwnerRecord, below: number, signal: AbortSignal): Promise<void> {
    const { bucket, prefix } = this.#place;
    const known = new Set([...checkpoints, ...(artifact === undefined ? [] : [artifact])].map(({ folder }) => folder));
    try {
      const objects = await listObjects(bucket, prefix, signal);
      for (const folder of new Set(objects.map(({ key }) => key.slice(prefix.length).split("/")[0] ?? ""))) {
        const isOlder = Number(/^(?:checkpoint-\d+|artifact)-g(\d+)-/.exec(folder)?.[1] ?? Infinity) < below;
        if (isOlder && !known.has(folder)) await deleteBelow(bucket, `${prefix}${folder}/`, signal);
      }
    } catch (thrown) {
      console.error(thrown);
    }
  }

  #name(what: string): string {
    return `${what}-${this.#claim.mark}.${++this.#count}`;
  }

  #tell(news: Omit<NonNullable<RunStatus["published"]>, "address">): void {
    const { journal } = this.#plan;
    const { step, complete } = journal.status.published ?? {};
    const before = { ...(step === undefined ? {} : { step }), ...(complete === undefined ? {} : { complete }) };
    const said = Object.fromEntries(Object.entries(news).filter(([, value]) => value !== undefined));
    journal.update({ published: { address: this.#place.address, ...before, ...said } });
  }
}

function wasChanged(path: string): Fault {
  return new Fault({
    code: "artifacts-changed",
    property: "storage.artifacts",
    message: `output/${path} is not what the run's manifest says, so it is not published.`,
    next: "Run `npx tuneup up`: it makes a damaged result again.",
    blame: "infrastructure",
  });
}
