import { setTimeout as delay } from "node:timers/promises";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import type { EndpointState, RunManifest, ServedModel } from "../../recipe/lifecycle.ts";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { pythonScript } from "../scripts.ts";
import { Engine } from "./engine.ts";
import { type EngineKind, engineFolder } from "./engines/engine-kind.ts";
import type { WaitingRoom } from "./limits.ts";
import { freeMemory, whyNoBase } from "./memory.ts";
import { HttpError, notReady } from "./openai-error.ts";
import { lookAtRun, type Outlook } from "./run-watch.ts";
import type { Timing } from "./timing.ts";

export interface ServedModelsOptions {
  readonly dataDirectory: string;
  /** Of the gateway's own: files and logs of its engines go there. */
  readonly folder: string;
  readonly spec: EndpointSpec;
  readonly kind: EngineKind;
  readonly timing: Timing;
  readonly room: WaitingRoom;
  readonly onChange: () => void;
  /** Called at each look at the run. */
  readonly onPoll: () => Promise<void>;
  readonly onRestart: (engine: string) => void;
  /** Free bytes of the device; a parameter for tests. */
  readonly freeBytes?: () => Promise<number>;
}

/** The models of an endpoint: waits for the run, then keeps their engines alive. */
export class ServedModels {
  /** Why `base` is not served; undefined while it is, or may be. */
  baseRefused: string | undefined;
  readonly #options: ServedModelsOptions;
  readonly #layout: Layout;
  readonly #stopping = new AbortController();
  #outlook: Outlook = { complete: false, message: "The gateway has just started.", ended: false };
  #served: RunManifest | undefined;
  #engines: Engine[] = [];
  #following: Promise<void> | undefined;

  constructor(options: ServedModelsOptions) {
    this.#options = options;
    this.#layout = layoutOf(options.dataDirectory);
    this.baseRefused = options.spec.base === "no" ? whyNoBase(options.spec, 0, "") : undefined;
  }

  /** As in /v1/models: the experiment's own first. */
  get ids(): string[] {
    const { experiment } = this.#options.spec;
    return this.baseRefused === undefined ? [experiment, "base"] : [experiment];
  }

  get engines(): readonly Engine[] {
    return this.#engines;
  }

  /** The state of the experiment's own model, which is the endpoint's. */
  get state(): EndpointState {
    return this.list()[0]?.state ?? "waiting";
  }

  list(): ServedModel[] {
    return this.ids.map((id) => {
      const engine = this.#engineOf(id);
      if (engine === undefined) {
        const detail = this.#outlook.complete ? "The engine is about to start." : this.#outlook.message;
        return { id, state: this.#outlook.complete ? "starting" : "waiting", failures: 0, detail };
      }
      const { state, failures, pid, port, detail } = engine;
      return {
        id,
        state,
        failures,
        ...(pid === undefined ? {} : { enginePid: pid }),
        ...(port === undefined ? {} : { enginePort: port }),
        ...(detail === undefined ? {} : { detail }),
      };
    });
  }

  /** The engine that answers for `model` now. Throws 400 for an unknown model and 503 for one that is not ready. */
  find(model: string): Engine {
    const engine = this.#engineOf(model);
    if (engine !== undefined) {
      engine.refuseUnlessReady();
      return engine;
    }
    if (!this.ids.includes(model)) {
      const why =
        model === "base" && this.baseRefused !== undefined ? `\`base\` is not served: ${this.baseRefused}` : "";
      const allowed = `Models here: ${this.ids.join(", ")}.`;
      throw new HttpError(400, "model_not_found", why === "" ? `There is no such model. ${allowed}` : why, {
        param: "model",
      });
    }
    if (this.#outlook.complete) throw notReady("The model is being loaded.", 5);
    throw notReady(this.#outlook.message, this.#outlook.ended ? 60 : 10);
  }

  start(): void {
    this.#following ??= this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#engines.map((engine) => engine.stop()));
    await this.#following;
  }

  #engineOf(id: string): Engine | undefined {
    return this.#engines.find((engine) => engine.models.includes(id));
  }

  /** Looks at the run again and again: it may complete, and a repaired one is a new model. */
  async #follow(): Promise<void> {
    const { spec, timing, onChange, onPoll } = this.#options;
    const run = this.#layout.run(spec.run);
    while (!this.#stopping.signal.aborted) {
      const outlook = await lookAtRun(run).catch((): undefined => undefined);
      if (outlook !== undefined) await this.#take(outlook, onChange);
      await onPoll();
      await delay(timing.poll, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  async #take(outlook: Outlook, onChange: () => void): Promise<void> {
    if (!outlook.complete) {
      // What is loaded answers on, whatever happens to the files.
      if (this.#served !== undefined) return;
      const news = this.#outlook.complete || this.#outlook.message !== outlook.message;
      this.#outlook = outlook;
      if (news) onChange();
      return;
    }
    if (this.#served?.completedAt === outlook.manifest.completedAt) return;
    this.#served = outlook.manifest;
    this.#outlook = outlook;
    onChange();
    try {
      await this.#serve();
    } catch (thrown) {
      // A full disk, most likely. The next look tries again.
      this.#served = undefined;
      const message = `The engine could not be prepared: ${(thrown as Error).message}`;
      this.#outlook = { complete: false, message, ended: false };
    }
    onChange();
  }

  async #serve(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.stop()));
    this.#engines = [];
    const { spec, kind, folder, freeBytes } = this.#options;
    const { experiment, device } = spec;
    const wrapper = await pythonScript(this.#layout, kind.script ?? "serve");
    let plan = [[experiment], ["base"]];
    if (kind.sharesBase && spec.artifact === "adapter") {
      plan = [[experiment, "base"]];
      if (spec.base === "no") plan = [[experiment]];
    } else {
      const free = spec.base === "auto" ? await (freeBytes ?? (() => freeMemory(device)))() : 0;
      this.baseRefused = whyNoBase(spec, free, device === "cuda" ? "GPU" : "main");
      if (this.baseRefused !== undefined) plan = [[experiment]];
    }
    if (this.#stopping.signal.aborted) return;
    this.#engines = plan.map((models) => this.#engineFor(models, folder, wrapper));
    this.#startInTurn();
  }

  /**
   * The experiment's own model first, `base` when that answers or has failed: two that load at once need most memory at
   * the same moment, and on few cores the one that is waited for would be ready later.
   */
  #startInTurn(): void {
    for (const engine of this.#engines) {
      engine.start();
      if (engine.state === "starting") return;
    }
  }

  #engineFor(models: readonly string[], folder: string, wrapper: string): Engine {
    const { spec, kind, timing, room, onRestart } = this.#options;
    const onChange = (): void => {
      this.#startInTurn();
      this.#options.onChange();
    };
    const own = engineFolder(folder, models);
    return new Engine({
      kind,
      setting: {
        spec,
        models,
        output: this.#layout.run(spec.run).output,
        folder: own,
        wrapper,
      },
      log: `${own}.log`,
      timing,
      room,
      onChange,
      onRestart: () => onRestart(models[0] ?? ""),
    });
  }
}
