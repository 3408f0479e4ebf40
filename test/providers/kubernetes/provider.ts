import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { setTimeout as after } from "node:timers/promises";
import type { EngineLog } from "../../../provider/engine-log.ts";
import { hasUnknown, reveal, type Wire } from "../../../provider/values.ts";
import { Fault } from "../../../recipe/fault.ts";
import { Api, KindMissing, refusal, Refused } from "./api.ts";
import { awaitedOf } from "./await/readiness.ts";
import { type Patience, waitUntilGone, waitUntilReady } from "./await/wait.ts";
import { changesBetween, liveInputs, written } from "./compare.ts";
import { completed, normalized, withSecretData } from "./inputs.ts";
import { asObject, idOf, type KubernetesObject, named, parseId, scopeOf, typeOf } from "./objects.ts";
import { pulumiAnnotation, type Reference, referenceTo, timeoutOf } from "./objects.ts";
import { isReplacedBy } from "./replaced.ts";
import { defaultNamespace, kubeConfigOf, readSettings, serverOf, type Settings } from "./settings.ts";
import { importedInputs, managerOf, stateOf } from "./state.ts";
import { type Diff, NotReady, type Provider, type State } from "../protocol/provider.ts";
import { markedLike, textAt } from "../protocol/wire.ts";

/** How often things are tried; tests take other numbers. */
export interface Pace {
  readonly pollMs: number;
  /** Before the second try of an apply whose namespace or kind is not there yet; doubles. */
  readonly retryMs: number;
}

const mostTries = 5;
/** Kinds that the official provider does not wait for at deletion when `pulumi.com/skipAwait` is set. */
const skippedAtDelete = new Set(["DaemonSet", "Deployment", "Job", "Namespace", "Pod", "StatefulSet"]);

/** What the SDK asks for: its own version. */
const { version } = createRequire(import.meta.url)("@pulumi/kubernetes/package.json") as { version: string };

/** What Pulumi's kubernetes provider does, as far as tests need it: see the README's list of what it does not. */
export class KubernetesProvider implements Provider {
  readonly version = version;
  readonly #log: EngineLog;
  readonly #pace: Pace;
  readonly #cancel = new AbortController();
  #settings: Settings = readSettings({});
  #api: Promise<Api> | undefined;

  constructor(log: EngineLog, pace: Pace = { pollMs: 500, retryMs: 1000 }) {
    this.#log = log;
    this.#pace = pace;
  }

  /** Takes the configuration. Reaches for nothing. */
  configure(given: Wire): void {
    this.#settings = readSettings(given);
    this.#api = undefined;
  }

  /** Which settings changed, and whether they are of another cluster: then every object is to be made anew. */
  diffConfig(olds: Wire, news: Wire): { readonly changed: readonly string[]; readonly replaces: boolean } {
    const changed = [...new Set(changesBetween(reveal(olds), reveal(news)).map(({ path }) => String(path[0])))];
    const [before, now] = [olds, news].map((given) => serverOf(readSettings(given)));
    return {
      changed: changed.filter((key) => key !== "version"),
      replaces: now !== undefined && before !== undefined && now !== before,
    };
  }

  /** The inputs with name, namespace and type. Needs no cluster. */
  check(urn: string, olds: Wire, news: Wire, seed: Uint8Array): Wire {
    return completed({ urn, olds, news, seed, namespace: defaultNamespace(this.#settings) });
  }

  /** What changed between two inputs, and what of it makes a new object. Needs no cluster. */
  diff(olds: Wire, news: Wire): Diff {
    const [before, now] = [normalized(olds), normalized(news)];
    const differences = changesBetween(before, now).map(({ path, kind }) => ({
      path: written(path),
      kind,
      replaces: isReplacedBy(path, now, this.#settings),
    }));
    const replaced = differences.some(({ replaces }) => replaces);
    const sameName = idOf(referenceTo(before)) === idOf(referenceTo(now));
    const autonamed = pulumiAnnotation(now, "autonamed") === "true";
    return { differences, deleteBeforeReplace: replaced && sameName && !autonamed };
  }

  /** Applies a new object and waits for it. Throws NotReady, or a Fault. */
  async create(urn: string, inputs: Wire, timeoutSeconds: number): Promise<State> {
    const given = pulumiAnnotation(normalized(inputs), "patchFieldManager");
    return await this.#ensure(urn, inputs, given ?? newManager(), timeoutSeconds, (there, reference) => {
      if (!there || this.#settings.upsert) return;
      throw new Fault({
        code: "kubernetes-exists",
        message: `${named(reference)} already exists.`,
        next: "Delete or import it, or set upsertExistingObjects on the provider.",
      });
    });
  }

  /** Applies the changed object and waits for it. Throws NotReady, or a Fault. */
  async update(urn: string, olds: Wire, news: Wire, timeoutSeconds: number): Promise<State> {
    return await this.#ensure(urn, news, managerOf(olds) ?? newManager(), timeoutSeconds, (there, reference) => {
      if (there) return;
      throw new Fault({
        code: "kubernetes-gone",
        message: `${named(reference)} is gone from the cluster.`,
        next: "Run `pulumi refresh`, which makes the next update create it.",
      });
    });
  }

  /** The object as it is, undefined if it is gone. Throws NotReady where it is there and not ready. */
  async read(urn: string, id: string, olds: Wire, inputs: Wire): Promise<State | undefined> {
    const given = Object.keys(inputs).length === 0 ? undefined : normalized(inputs);
    const reference: Reference = { ...referenceTo(given ?? asObject(typeOf(urn))), ...parseId(id) };
    const api = await this.#connected();
    const live = await asked(reference, () => api.get(reference));
    if (live === undefined) return undefined;
    const manager = managerOf(olds) ?? newManager();
    if (given === undefined) return { ...stateOf(live, olds, manager), id, inputs: importedInputs(live) };
    const kept = liveInputs(live, given);
    const isAsGiven = changesBetween(given, kept).length === 0;
    const drifted = (): Wire => withSecretData(markedLike(kept, inputs) as Wire, inputs);
    const state = { ...stateOf(live, inputs, manager), id, inputs: isAsGiven ? inputs : drifted() };
    const now = await awaitedOf(given)?.look(live, api);
    if (now === undefined || now.ready) return state;
    throw new NotReady(state, [`${named(reference)} is not ready (${now.progress}).`, ...now.reasons]);
  }

  /** Deletes the object, what belongs to it first, and waits until it is gone. Throws a Fault when patience ends. */
  async delete(urn: string, id: string, inputs: Wire, timeoutSeconds: number): Promise<void> {
    const given = Object.keys(inputs).length === 0 ? asObject(typeOf(urn)) : normalized(inputs);
    const reference: Reference = { ...referenceTo(given), ...parseId(id) };
    const [first = "F", ...rest] = pulumiAnnotation(given, "deletionPropagationPolicy") ?? "Foreground";
    const api = await this.#connected();
    const live = await asked(reference, () => api.get(reference));
    const begun =
      live !== undefined && (await asked(reference, () => api.remove(reference, first.toUpperCase() + rest.join(""))));
    const isSkipped = pulumiAnnotation(given, "skipAwait") === "true" && skippedAtDelete.has(given.kind);
    if (live === undefined || begun !== true || isSkipped) return;
    // Tests of what hangs wait less.
    const standard = Number(process.env["STAND_IN_DELETE_S"] ?? (given.kind === "Deployment" ? 600 : 300));
    const patience = this.#patience(urn, timeoutOf(given, timeoutSeconds, standard));
    const stuck = await waitUntilGone(api, reference, textAt(live.metadata, "uid"), patience);
    if (stuck === undefined) return;
    const next = "Destroy again when that is done.";
    throw new Fault({ code: "kubernetes-stuck", message: stuck, next, blame: "infrastructure" });
  }

  /** Releases those who wait: Ctrl-C, and every normal end. */
  cancel(): void {
    this.#cancel.abort();
  }

  async #ensure(
    urn: string,
    inputs: Wire,
    manager: string,
    timeoutSeconds: number,
    allow: (isThere: boolean, reference: Reference) => void,
  ): Promise<State> {
    const object = normalized(inputs);
    const api = await this.#connected();
    const force = this.#settings.force || pulumiAnnotation(object, "patchForce") === "true";
    const { live, reference } = await this.#patiently(urn, referenceTo(object), async (isRetry) => {
      const placed = await this.#placed(api, object);
      if (!isRetry) allow((await api.get(placed)) !== undefined, placed);
      const metadata = { ...object.metadata, namespace: placed.namespace };
      const applied = await api.apply({ ...object, metadata }, placed, manager, force);
      for (const warning of applied.warnings) this.#log.keep(urn, "warning", warning);
      return { live: applied.live, reference: placed };
    });
    const awaited = awaitedOf(object);
    if (awaited === undefined) return stateOf(live, inputs, manager);
    const patience = this.#patience(urn, timeoutOf(object, timeoutSeconds, awaited.seconds));
    const waited = await waitUntilReady(api, live, reference, awaited.look, patience);
    const state = stateOf(waited.live, inputs, manager);
    if (waited.reasons.length > 0) throw new NotReady(state, waited.reasons);
    return state;
  }

  /** Where the object belongs: of a custom resource only the cluster can tell. */
  async #placed(api: Api, object: KubernetesObject): Promise<Reference> {
    const reference = referenceTo(object);
    if (reference.name === "" || hasUnknown(object)) {
      throw new Fault({
        code: "kubernetes-name",
        message: `A ${reference.kind} has no name, or inputs that are not known.`,
        next: "The stand-in knows no generateName: leave metadata.name out, or give it.",
      });
    }
    if (scopeOf(object.apiVersion, object.kind) !== undefined) return reference;
    const isNamespaced = await api.isNamespaced(object.apiVersion, object.kind);
    const namespace = isNamespaced ? (reference.namespace ?? defaultNamespace(this.#settings)) : undefined;
    return { ...reference, namespace };
  }

  /** Tries again while namespace or kind are not there yet: others may be making them. */
  async #patiently<T>(urn: string, reference: Reference, work: (isRetry: boolean) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work(tries > 1);
      } catch (thrown) {
        const isMissing = thrown instanceof KindMissing || (thrown instanceof Refused && thrown.status === 404);
        if (!isMissing || tries >= mostTries || this.#cancel.signal.aborted) throw refusal(reference, thrown);
        this.#log.progress(urn, { message: `tries again: ${thrown.message}` });
        await after(this.#pace.retryMs * 2 ** (tries - 1), undefined, { signal: this.#cancel.signal }).catch(
          () => undefined,
        );
      }
    }
  }

  #patience(urn: string, seconds: number): Patience {
    return {
      seconds,
      pollMs: this.#pace.pollMs,
      signal: this.#cancel.signal,
      onProgress: (message) => this.#log.progress(urn, { message }),
    };
  }

  #connected(): Promise<Api> {
    this.#api ??= kubeConfigOf(this.#settings).then((config) => new Api(config));
    return this.#api;
  }
}

function newManager(): string {
  return `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
}

/** The answer to a request about the object; undefined too where its kind is gone from the cluster. */
async function asked<T>(reference: Reference, request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request();
  } catch (thrown) {
    if (thrown instanceof KindMissing) return undefined;
    throw refusal(reference, thrown);
  }
}
