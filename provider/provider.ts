import type { provider as pulumiProvider } from "@pulumi/pulumi";
import { isWithoutMachine } from "../hosts/aws-faults.ts";
import { connect } from "../hosts/connect.ts";
import type { Host } from "../hosts/host.ts";
import { asFault, Fault } from "../recipe/fault.ts";
import { hostSpec, isResting as isRestingHost } from "../recipe/host.ts";
import type { EngineLog } from "./engine-log.ts";
import { healthy, type ResourceKind, type Work } from "./kind.ts";
import { outputVersion, migrate } from "./migrate.ts";
import { resourceKinds } from "./resources/index.ts";
import { asSecret, changedKeys, reveal, toWire, type Wire } from "./values.ts";
import { rememberWay, wayTo } from "./way.ts";

type Provider = Required<
  Pick<pulumiProvider.Provider, "check" | "diff" | "create" | "read" | "update" | "delete" | "cancel">
>;

/** The resources `tuneup-host:index:*`: each call finds the kind by its type, the host by its input. */
export class TuneupProvider implements Provider {
  readonly version = "0.1.0";
  readonly #log: EngineLog;
  readonly #cancel = new AbortController();
  /** After `destroy` no connection is to be open. */
  readonly #left = new Set<Host>();

  constructor(log: EngineLog) {
    this.#log = log;
  }

  async check(urn: string, olds: unknown, news: Wire): Promise<pulumiProvider.CheckResult> {
    const kind = kindOf(urn);
    const plain = reveal(news) as Wire;
    rememberWay(plain["host"]);
    try {
      const checked = await kind.check?.(plain, reveal(olds ?? {}) as Wire);
      const { computed, failures, warnings = [] } = checked ?? { failures: [] };
      for (const warning of warnings) this.#log.keep(urn, "warning", warning);
      return { inputs: toWire({ ...news, ...computed }), failures: [...failures] };
    } catch (thrown) {
      const fault = asFault(thrown);
      if (fault.blame === "bug") throw thrown;
      return { inputs: news, failures: [{ property: fault.property ?? "host", reason: fault.reason }] };
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface wants a promise
  async diff(_id: string, urn: string, olds: unknown, news: unknown): Promise<pulumiProvider.DiffResult> {
    const kind = kindOf(urn);
    const old = migrate(reveal(olds) as Wire);
    const { changed, telling } = changesOf(kind, old, reveal(news) as Wire);
    const replaces = changed.filter((key) => kind.replaceOn.includes(key));
    return {
      // Without a machine nothing can be done, and nothing is left to do.
      changes: !(isResting(news) && replaces.length === 0) && (telling.length > 0 || old["state"] !== healthy),
      replaces,
      // One holder for GPU, port and run folder: the old one goes first.
      deleteBeforeReplace: true,
    };
  }

  async create(urn: string, inputs: unknown): Promise<pulumiProvider.CreateResult> {
    const kind = kindOf(urn);
    if (isResting(inputs)) return this.#rest(kind, inputs as Wire);
    const plain = kind.inputs.parse(reveal(inputs));
    const outs = await this.#ensure(kind, urn, inputs as Wire, plain);
    return { id: kind.id(plain), outs };
  }

  async update(_id: string, urn: string, olds: unknown, news: unknown): Promise<pulumiProvider.UpdateResult> {
    const kind = kindOf(urn);
    const old = migrate(reveal(olds) as Wire);
    const { telling } = changesOf(kind, old, reveal(news) as Wire);
    if (telling.length > 0 && telling.every((key) => kind.recorded?.includes(key)) && old["state"] === healthy) {
      const outputs = Object.entries(old).filter(([key]) => !keysOf(kind).includes(key));
      return { outs: stateOf(kind, news as Wire, Object.fromEntries(outputs)) };
    }
    return { outs: await this.#ensure(kind, urn, news as Wire, kind.inputs.parse(reveal(news))) };
  }

  async read(id: string, urn: string, props: unknown): Promise<pulumiProvider.ReadResult> {
    const kind = kindOf(urn);
    const old = migrate(reveal(props) as Wire);
    const inputs = kind.inputs.parse(old);
    const outputs = await told(async () => readOrEnded(kind, inputs, old, await this.#work(urn, old)));
    if (outputs === undefined) return {};
    const given = props as Wire;
    return { id, props: stateOf(kind, given, outputs), inputs: pick(given, keysOf(kind)) };
  }

  async delete(_id: string, urn: string, props: unknown): Promise<void> {
    const kind = kindOf(urn);
    const old = migrate(reveal(props) as Wire);
    await told(async () => {
      const work = await this.#work(urn, old).catch((thrown: unknown) => {
        throw asFault(thrown).blame === "bug" ? thrown : unreachableAtDelete(asFault(thrown));
      });
      this.#left.add(work.host);
      await kind.remove(kind.inputs.parse(old), work).catch((thrown: unknown) => {
        if (!isWithoutMachine(thrown)) throw thrown;
        this.#log.keep(urn, "info", `${thrown.message} Nothing of it is left to end.`);
      });
    });
  }

  /** Comes at Ctrl-C and at every normal end: it only releases those who wait, and leaves the hosts where something was deleted. */
  async cancel(): Promise<void> {
    this.#cancel.abort();
    await Promise.allSettled([...this.#left].map((host) => host.close()));
  }

  /** What is declared anew while its machine rests: it takes the place in the state that a later `up` goes on from. */
  async #rest(kind: ResourceKind, given: Wire): Promise<pulumiProvider.CreateResult> {
    const plain = reveal(given) as Wire;
    const outputs = await told(async () => (await kind.rest?.(plain)) ?? { state: ended });
    return { id: kind.id(plain), outs: stateOf(kind, given, outputs) };
  }

  async #ensure(kind: ResourceKind, urn: string, given: Wire, plain: unknown): Promise<Wire> {
    const outputs = await told(async () => kind.ensure(plain, await this.#work(urn, plain as Wire)));
    return stateOf(kind, given, outputs);
  }

  async #work(urn: string, inputs: Wire): Promise<Work> {
    return {
      host: await connect(wayTo(hostSpec.parse(inputs["host"]), process.env)),
      options: {
        onProgress: (progress) => this.#log.progress(urn, progress),
        onLog: (level, message) => this.#log.keep(urn, level, message),
        signal: this.#cancel.signal,
      },
    };
  }
}

/** State of what was on a machine that is gone. The next `up` that has a machine brings it there again. */
const ended = "ended";

/** As `read`, where the machine may be gone: what is known stays known, and it is told why nothing of it is there now. */
async function readOrEnded(kind: ResourceKind, inputs: unknown, old: Wire, work: Work): Promise<object | undefined> {
  try {
    return await kind.read(inputs, old, work);
  } catch (thrown) {
    if (!isWithoutMachine(thrown)) throw thrown;
    return { ...old, state: `${ended}: ${thrown.message}` };
  }
}

/** Does the program want no machine for it now? */
function isResting(inputs: unknown): boolean {
  const host = hostSpec.safeParse((reveal(inputs) as Wire)["host"]).data;
  return host !== undefined && isRestingHost(host);
}

/** The host alone knows what computes there: without it nothing can be ended, and the state must not forget it. */
function unreachableAtDelete({ code, property, message, next = "" }: Fault): Fault {
  const rest = "Nothing was ended there, and the state is as before: destroy again when the host is back.";
  const gone = "Where it is gone for good, `pulumi destroy` has nothing to do: `pulumi stack rm --force` forgets it.";
  const facts = {
    code,
    message: `${message} ${rest}`,
    next: `${next} ${gone}`.trim(),
    blame: "infrastructure",
  } as const;
  return new Fault(property === undefined ? facts : { ...facts, property });
}

/** A fault becomes an error whose message is the sentence: the engine prints it, and nothing else of it. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw new Error(asFault(thrown).sentence, { cause: thrown });
  }
}

function kindOf(urn: string): ResourceKind {
  const type = urn.split("::")[2]?.split("$").at(-1)?.split(":").at(-1) ?? "";
  const kind = (resourceKinds as Readonly<Record<string, ResourceKind>>)[type];
  if (kind === undefined) {
    throw new Fault({
      code: "resource-unknown",
      message: `tuneup-host has no resource ${type}; it has ${Object.keys(resourceKinds).join(", ")}.`,
      next: "Use the provider and the components of the same release.",
    });
  }
  return kind;
}

/** Inputs that are not as they were, and those of them that make a change. */
function changesOf(kind: ResourceKind, old: Wire, news: Wire): { changed: string[]; telling: string[] } {
  const changed = changedKeys(keysOf(kind), old, news);
  return { changed, telling: changed.filter((key) => kind.incidental?.includes(key) !== true) };
}

function keysOf(kind: ResourceKind): string[] {
  return Object.keys((kind.inputs as unknown as { shape: object }).shape);
}

function pick(bag: Wire, keys: readonly string[]): Wire {
  return Object.fromEntries(keys.flatMap((key) => (key in bag ? [[key, bag[key]]] : [])));
}

/** What the state keeps: the inputs as given (secret marks and all), then the outputs. */
function stateOf(kind: ResourceKind, given: Wire, outputs: object): Wire {
  const marked = Object.entries(outputs).map(([key, value]: [string, unknown]) => [
    key,
    (kind.secretOutputs as readonly string[] | undefined)?.includes(key) === true ? asSecret(String(value)) : value,
  ]);
  return toWire({
    ...pick(given, keysOf(kind)),
    ...(Object.fromEntries(marked) as Wire),
    schemaVersion: outputVersion,
  });
}
