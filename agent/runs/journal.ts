import { appendFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import type { RunEvent, RunMetric, RunState, RunStatus } from "../../recipe/lifecycle.ts";
import { writeJson } from "../files.ts";
import { saysDiskFull } from "../folders.ts";
import type { RunPaths } from "./paths.ts";
import { isTerminal } from "./record.ts";
import { patched, type StatusPatch } from "./status-patch.ts";

/** At most two writes of status.json a second. */
const statusInterval = 500;

/** Two records, some events, and what file systems lose by their blocks. */
const reservedBytes = 65_536;

/** One event and the record beside its predecessor, in blocks of 4 KiB. */
const handedOutBytes = 16_384;

/**
 * What the holder of a run's lock writes about it: status, events, metrics. A write that fails (a full disk) must not end a
 * training that goes on fine: the status is written again at the next change, and `onTrouble` hears of it.
 */
export class Journal {
  readonly #paths: RunPaths;
  readonly #onTrouble: (thrown: unknown) => void;
  readonly #guard: () => void;
  #status: RunStatus;
  #listener: (status: RunStatus) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `guard` is called in the same turn as each write: it ends a supervisor that may not write any more. */
  constructor(
    paths: RunPaths,
    status: RunStatus,
    onTrouble: (thrown: unknown) => void = () => undefined,
    guard: () => void = () => undefined,
  ) {
    this.#paths = paths;
    this.#status = status;
    this.#onTrouble = onTrouble;
    this.#guard = guard;
  }

  get status(): RunStatus {
    return this.#status;
  }

  /** Tells each change of the status from now on. */
  follow(listener: (status: RunStatus) => void): void {
    this.#listener = listener;
  }

  /** Changes the status now and the file soon. */
  update(patch: StatusPatch): void {
    this.#status = patched(this.#status, { ...patch, updatedAt: new Date().toISOString() });
    this.#listener(this.#status);
    this.#timer ??= setTimeout(() => void this.flush(), statusInterval);
  }

  /** Writes the status now. */
  flush(): Promise<void> {
    return this.#settle(() => this.#writeStatus());
  }

  #settle(write: () => Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#append(write);
  }

  #writeStatus(): Promise<void> {
    return writeJson(this.#paths.status, this.#status, this.#guard);
  }

  /** A change of state: event first, then status, so that a status torn by a crash can be rebuilt. */
  async enter(state: RunState, detail: string, patch: StatusPatch = {}): Promise<void> {
    if (isTerminal(state)) await this.#append(() => rmSync(this.#paths.reserve, { force: true }));
    await this.event("state", `${state}: ${detail}`);
    this.update({ ...patch, state, detail });
    await this.#settle(() => this.#handOut(() => this.#writeStatus()));
  }

  /** Sets space aside, so that what the run waits for and how it ended can be told even when the disk is full by then. */
  reserveSpace(): Promise<void> {
    if (this.#reserved() === reservedBytes) return Promise.resolve();
    return this.#append(() => writeFileSync(this.#paths.reserve, Buffer.alloc(reservedBytes), { mode: 0o600 }));
  }

  event(kind: RunEvent["kind"], message: string): Promise<void> {
    const event: RunEvent = { at: new Date().toISOString(), kind, message };
    return this.#append(() => this.#handOut(() => writeLine(this.#paths.events, event)));
  }

  metric(metric: RunMetric): Promise<void> {
    return this.#append(() => writeLine(this.#paths.metrics, metric));
  }

  /** Writes what has to be told: on a full disk, into some of the space that was set aside. */
  async #handOut(write: () => Promise<void> | void): Promise<void> {
    try {
      await write();
    } catch (thrown) {
      const reserved = this.#reserved();
      if (!saysDiskFull(String(thrown)) || reserved === 0) throw thrown;
      truncateSync(this.#paths.reserve, Math.max(0, reserved - handedOutBytes));
      this.#guard();
      await write();
    }
  }

  #reserved(): number {
    return statSync(this.#paths.reserve, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** One write after the other, in the order of the calls. */
  #append(write: () => Promise<void> | void): Promise<void> {
    const guarded = (): Promise<void> | void => {
      this.#guard();
      return write();
    };
    this.#writing = this.#writing.then(guarded).catch(this.#onTrouble);
    return this.#writing;
  }
}

/** Synchronous, so that nothing comes between the guard and the write. */
function writeLine(path: string, value: unknown): void {
  appendFileSync(path, `${JSON.stringify(value)}\n`, { mode: 0o600 });
}
