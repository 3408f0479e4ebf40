import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { hasUnknown, reveal, toWire, type Wire } from "../../../provider/values.ts";
import { canonicalJson } from "../../../recipe/canonical.ts";
import { Fault } from "../../../recipe/fault.ts";
import { type Diff, NotReady, type Provider, type State } from "../protocol/provider.ts";
import { isBag, markedLike, textAt, withoutNulls } from "../protocol/wire.ts";
import { type Clients, clientsOf } from "./clients.ts";
import { functions } from "./functions.ts";
import type { Kind } from "./kind.ts";
import { kinds } from "./kinds/all.ts";
import { retag } from "./retag.ts";

const { version } = createRequire(import.meta.url)("@pulumi/aws/package.json") as { version: string };

/** What Pulumi's provider for AWS does, as far as tests need it: each kind calls AWS by the official SDK. */
export class AwsProvider implements Provider {
  readonly version = version;
  #region = "us-east-1";
  #clients: Clients | undefined;

  configure(given: Wire): void {
    const region = textAt(reveal(given), "region");
    this.#region = region === "" ? (process.env["AWS_REGION"] ?? "us-east-1") : region;
    this.#clients = undefined;
  }

  diffConfig(olds: Wire, news: Wire): { readonly changed: readonly string[]; readonly replaces: boolean } {
    const keys = keysThatDiffer(reveal(olds) as Wire, reveal(news) as Wire).filter((key) => key !== "version");
    return { changed: keys, replaces: keys.includes("region") };
  }

  check(urn: string, olds: Wire, news: Wire, seed: Uint8Array): Wire {
    const inputs = withoutNulls(news) as Wire;
    if (kindOf(urn).named === undefined || inputs["name"] !== undefined) return inputs;
    const kept = textAt(reveal(olds), "name");
    return { ...inputs, name: kept === "" ? `${urn.split("::").at(-1) ?? ""}-${suffix(seed)}` : kept };
  }

  diff(olds: Wire, news: Wire, urn: string): Diff {
    const kind = kindOf(urn);
    const { computed = [] } = kind;
    const [before, now] = [reveal(olds) as Wire, reveal(news) as Wire];
    const replaces = [...kind.replaces, ...(kind.alsoReplaces?.(now) ?? [])];
    const keys = keysThatDiffer(before, now).filter((key) => key in now || !computed.includes(key));
    const differences = keys.map((key) => ({
      path: key,
      kind: key in before ? (key in now ? ("update" as const) : ("delete" as const)) : ("add" as const),
      replaces: replaces.includes(key),
    }));
    const isSameName = now["name"] !== undefined && now["name"] === before["name"];
    return { differences, deleteBeforeReplace: isSameName && differences.some((one) => one.replaces) };
  }

  async create(urn: string, inputs: Wire): Promise<State> {
    const kind = kindOf(urn);
    const plain = reveal(inputs) as Wire;
    const id = await told(`creating ${kind.title}`, () => kind.create(this.#aws(), plain));
    return await this.#settled(urn, kind, id, inputs);
  }

  async update(urn: string, outputs: Wire, news: Wire, _timeoutSeconds: number, id: string): Promise<State> {
    const kind = kindOf(urn);
    const olds = Object.fromEntries(Object.entries(reveal(outputs) as Wire).filter(([key]) => key in news));
    const inputs = reveal(news) as Wire;
    const changed = keysThatDiffer(olds, inputs);
    await told(`updating ${kind.title} (${id})`, async () => {
      await retag(this.#aws(), id, urn, { inputs, olds: reveal(outputs) as Wire });
      const others = changed.filter((key) => key !== "tags");
      if (others.length === 0) return;
      if (kind.update === undefined) throw new Error(`the stand-in changes no ${others.join(", ")} in place`);
      await kind.update(this.#aws(), id, { inputs, olds, changed: others });
    });
    return await this.#settled(urn, kind, id, news);
  }

  async read(urn: string, id: string, _olds: Wire, inputs: Wire): Promise<State | undefined> {
    const kind = kindOf(urn);
    const plain = reveal(inputs) as Wire;
    const live = await told(`reading ${kind.title} (${id})`, () => kind.read(this.#aws(), id, plain));
    if (live === undefined) return undefined;
    const isImport = Object.keys(inputs).length === 0;
    const kept = isImport
      ? importedInputs(kind, live)
      : Object.fromEntries(Object.keys(plain).map((key) => [key, isTold(live, key) ? live[key] : plain[key]]));
    const marked = markedLike(kept, inputs) as Wire;
    return { id, outputs: outputsOf(id, marked, live), inputs: toWire(marked) };
  }

  async delete(urn: string, id: string, inputs: Wire): Promise<void> {
    const kind = kindOf(urn);
    await told(`deleting ${kind.title} (${id})`, () => kind.delete(this.#aws(), id, reveal(inputs) as Wire));
  }

  async invoke(token: string, args: Wire): Promise<Wire> {
    const answer = functions[token];
    if (answer === undefined) throw new Error(`The stand-in has no function ${token}.`);
    return toWire(await told(`reading ${token}`, () => answer(this.#aws(), reveal(args) as Wire)));
  }

  cancel(): void {
    // Calls end by themselves.
  }

  async #settled(urn: string, kind: Kind, id: string, inputs: Wire): Promise<State> {
    const plain = reveal(inputs) as Wire;
    try {
      await told(`waiting for ${kind.title} (${id})`, async () => kind.settle?.(this.#aws(), id, plain));
      const live = await told(`reading ${kind.title} (${id})`, () => kind.read(this.#aws(), id, plain));
      if (live === undefined) throw new Error(`${urn}: ${id} is gone right after it was made.`);
      return { id, outputs: outputsOf(id, inputs, live), inputs };
    } catch (thrown) {
      // It is there, whatever can't be told of it now: the official provider keeps its id from its first moment too.
      throw new NotReady({ id, outputs: outputsOf(id, inputs, {}), inputs }, [(thrown as Error).message]);
    }
  }

  #aws(): Clients {
    return (this.#clients ??= clientsOf(this.#region));
  }
}

/** Outputs: what was said, what is live beside it, the tags once more. */
function outputsOf(id: string, inputs: Wire, live: Wire): Wire {
  const said = Object.entries(inputs).map(([key, value]) => {
    const more = live[key];
    // AWS knows more of a disk than was said, such as its id.
    return [key, isBag(more) && isBag(value) && key !== "tags" ? { ...more, ...value } : value];
  });
  return toWire({
    ...live,
    ...(Object.fromEntries(said) as Wire),
    id,
    ...(inputs["tags"] === undefined ? {} : { tagsAll: inputs["tags"] }),
  });
}

/** Is a key's live value the whole of what an input says? Of a bag it is a part, but for tags. */
function isTold(live: Wire, key: string): boolean {
  return key in live && (key === "tags" || !isBag(live[key]));
}

function importedInputs(kind: Kind, live: Wire): Wire {
  const names = [...kind.replaces, ...(kind.computed ?? []), "tags"];
  return Object.fromEntries(names.filter((name) => live[name] !== undefined).map((name) => [name, live[name]]));
}

function kindOf(urn: string): Kind {
  const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
  const kind = kinds[type];
  if (kind === undefined) throw new Fault({ code: "aws-kind", message: `The stand-in knows no ${type}.` });
  return kind;
}

function keysThatDiffer(olds: Wire, news: Wire): string[] {
  const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter((key) => key !== "__defaults");
  return keys.filter((key) => hasUnknown(news[key]) || worth(olds[key]) !== worth(news[key]));
}

/** Lists of ids are sets for AWS. */
function worth(value: unknown): string {
  const sorted =
    Array.isArray(value) && value.every((part) => typeof part === "string") ? value.toSorted() : (value ?? null);
  return canonicalJson(isBag(sorted) ? withoutNulls(sorted) : sorted);
}

function suffix(seed: Uint8Array): string {
  const source = seed.length === 0 ? randomBytes(16) : seed;
  return createHash("sha256").update(source).digest("hex").slice(0, 7);
}

/** What `work` gives; what AWS refuses is told in the words of the official provider. */
async function told<T>(doing: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw new Fault({ code: "aws", message: wordsOf(doing, thrown), blame: "infrastructure" }, { cause: thrown });
  }
}

function wordsOf(doing: string, thrown: unknown): string {
  if (!(thrown instanceof Error)) return `${doing}: ${String(thrown)}`;
  const { $metadata: metadata } = thrown as { readonly $metadata?: { httpStatusCode?: number; requestId?: string } };
  const answer =
    metadata?.httpStatusCode === undefined
      ? thrown.message
      : `operation error, https response error StatusCode: ${metadata.httpStatusCode}, RequestID: ${metadata.requestId ?? "-"}, api error ${thrown.name}: ${thrown.message}`;
  return `sdk-v2/provider2.go:572: sdk.helper_schema: ${doing}: ${answer}: provider=aws@${version}`;
}
