import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { EndpointState } from "../../recipe/lifecycle.ts";
import { EngineProcess, lastLines } from "./engine-process.ts";
import type { EngineKind, EngineSetting } from "./engines/engine-kind.ts";
import { Places, type WaitingRoom } from "./limits.ts";
import { engineLost, notReady } from "./openai-error.ts";
import { privatePort } from "./ports.ts";
import type { Timing } from "./timing.ts";
import { askEngine, EngineLost, isListening, type Piece, type Upstream } from "./upstream.ts";

export interface EngineOptions {
  readonly kind: EngineKind;
  readonly setting: Omit<EngineSetting, "port" | "key">;
  readonly log: string;
  readonly timing: Timing;
  readonly room: WaitingRoom;
  /** Called at each change of state or process. */
  readonly onChange: () => void;
  /** Called when it is started again after a failure. */
  readonly onRestart: () => void;
}

/** One engine: started, probed, restarted with backoff, given up after too many failures in a row. */
export class Engine {
  readonly models: readonly string[];
  readonly places: Places;
  state: EndpointState = "starting";
  detail: string | undefined;
  /** Failures in a row. */
  failures = 0;
  /** `performance.now()` of the last token that it gave. */
  lastSuccess: number | undefined;
  #process: EngineProcess | undefined;
  #upstream: Upstream | undefined;
  #asked = 0;
  #hangs: string | undefined;
  #readySince: number | undefined;
  #probing: Promise<boolean> | undefined;
  readonly #options: EngineOptions;
  readonly #stopping = new AbortController();
  #life: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.models = options.setting.models;
    this.places = new Places(options.kind.places, options.room);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get port(): number | undefined {
    return this.#upstream?.port;
  }

  start(): void {
    if (!this.#isStopping()) this.#life ??= this.#live();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#process?.stop(this.#options.timing.stop);
    await this.#life;
  }

  /** The engine's answer, piece by piece. Throws HttpError; a silent engine is ended and started again. */
  async *ask(model: string, body: Readonly<Record<string, unknown>>, signal: AbortSignal): AsyncGenerator<Piece> {
    this.refuseUnlessReady();
    const upstream = this.#upstream;
    const asked = this.#process;
    if (upstream === undefined) throw engineLost("ended");
    this.#asked += 1;
    const { kind, setting, timing } = this.#options;
    const said = kind.asks?.(body, setting.spec) ?? body;
    try {
      for await (const piece of askEngine(upstream, { ...said, model }, { signal, stall: timing.stall })) {
        this.lastSuccess = performance.now();
        yield piece;
      }
      this.failures = 0;
    } catch (thrown) {
      if (!(thrown instanceof EngineLost)) throw thrown;
      if (thrown.hangs && asked === this.#process) this.#endHanging("sent nothing for too long while it answered");
      throw engineLost(thrown.message);
    } finally {
      this.#asked -= 1;
    }
  }

  /** Throws the 503 with its reason unless the model can answer now. */
  refuseUnlessReady(): void {
    if (this.state === "ready") return;
    const reason = this.detail ?? (this.state === "starting" ? "The model is being loaded." : "");
    throw notReady(reason, this.state === "failed" ? 60 : 5);
  }

  /** Has it given a token within the time that counts as proof? Probes it if not. */
  async isProven(): Promise<boolean> {
    if (this.state !== "ready") return false;
    if (this.#age() <= this.#options.timing.probe) return true;
    return this.#probe();
  }

  #age(): number {
    return this.lastSuccess === undefined ? Infinity : performance.now() - this.lastSuccess;
  }

  /** One token, asked once however many wait for it. */
  #probe(): Promise<boolean> {
    this.#probing ??= this.#askOneToken().finally(() => (this.#probing = undefined));
    return this.#probing;
  }

  async #askOneToken(): Promise<boolean> {
    const upstream = this.#upstream;
    if (upstream === undefined) return false;
    const body = {
      model: this.models[0],
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 1,
      temperature: 0,
    };
    const stall = this.#options.timing.probeTimeout;
    try {
      for await (const piece of askEngine(upstream, body, { signal: AbortSignal.timeout(stall), stall })) {
        if (piece.finish !== undefined) break;
      }
      this.lastSuccess = performance.now();
      return true;
    } catch {
      return false;
    }
  }

  async #live(): Promise<void> {
    const { timing, onRestart } = this.#options;
    for (;;) {
      const end = await this.#liveOnce();
      if (this.#isStopping()) return;
      if (this.#readySince !== undefined && performance.now() - this.#readySince > timing.stable) this.failures = 0;
      this.failures += 1;
      const wait = timing.backoff[this.failures - 1];
      const sentence = `The engine ${end}.`;
      if (wait === undefined) {
        const lines = await lastLines(this.#options.log, 3);
        const log = lines.length > 0 ? ` Its last lines: ${lines.join(" / ")}` : "";
        this.#become("failed", `${sentence} It failed ${this.failures} times in a row and is given up.${log}`);
        return;
      }
      this.#become("restarting", `${sentence} It is started again (failure ${this.failures} in a row).`);
      await delay(wait, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#isStopping()) return;
      onRestart();
    }
  }

  /** From start to end of one process; returns how it ended. */
  async #liveOnce(): Promise<string> {
    const { kind, setting, log } = this.#options;
    // The experiment's own model comes first where cores are few.
    const niceness = setting.models.includes(setting.spec.experiment) ? 0 : 5;
    this.#hangs = undefined;
    this.#readySince = undefined;
    this.lastSuccess = undefined;
    let upstream: Upstream;
    let running: EngineProcess;
    try {
      upstream = { port: await privatePort(), key: randomBytes(32).toString("base64url") };
      running = await EngineProcess.start(kind.launch({ ...setting, ...upstream }), log, niceness);
    } catch (thrown) {
      return `could not be started: ${(thrown as Error).message}`;
    }
    this.#process = running;
    this.#upstream = upstream;
    if (this.#isStopping()) running.kill();
    this.#become("starting", "The model is being loaded.");
    const over = new AbortController();
    const watching = this.#watch(upstream, over.signal);
    const end = await running.ended;
    over.abort();
    this.#upstream = undefined;
    this.#process = undefined;
    await watching;
    return this.#reasonOf(end);
  }

  async #watch(upstream: Upstream, over: AbortSignal): Promise<void> {
    const { timing } = this.#options;
    const isOver = (): boolean => over.aborted;
    const pause = (ms: number): Promise<unknown> => delay(ms, undefined, { signal: over }).catch(() => undefined);
    const startedAt = performance.now();
    while (!isOver() && !(await isListening(upstream, over))) {
      if (performance.now() - startedAt > timing.start) this.#endHanging("did not load in time");
      await pause(200);
    }
    if (isOver()) return;
    const proven = await this.#probe();
    if (isOver()) return;
    if (!proven) {
      this.#endHanging("loaded, but gave no token");
      return;
    }
    this.#readySince = performance.now();
    this.#become("ready", undefined);
    for (let missed = 0; !isOver();) {
      await pause(Math.max(100, timing.probe - this.#age()));
      if (isOver() || this.#asked > 0 || this.#age() < timing.probe) continue;
      missed = (await this.#probe()) ? 0 : missed + 1;
      if (missed >= 2 && !isOver()) this.#endHanging("gave no token when probed twice");
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** How it ended: what we killed it for, if we did. */
  #reasonOf(end: string): string {
    return this.#hangs ?? end;
  }

  #endHanging(reason: string): void {
    this.#hangs = reason;
    this.#process?.kill();
  }

  #become(state: EndpointState, detail: string | undefined): void {
    this.state = state;
    this.detail = detail;
    this.#options.onChange();
  }
}
