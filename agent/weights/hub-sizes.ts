import { z } from "zod";
import { asFault, Fault } from "../../recipe/fault.ts";
import { hubEndpoint } from "../../recipe/mirrors.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import { proxiedFetch } from "../proxied-fetch.ts";
import { type Hub, hubFault } from "./hub-faults.ts";
import { selectWeights } from "./select.ts";

/** What a hub tells of a model over HTTP, before anything is downloaded. */
export interface HubSizes {
  readonly hub: Hub;
  /** Bytes of the files that would be downloaded. */
  readonly bytes: number;
  readonly files: number;
  readonly license: string | undefined;
  /** Given only to those who accepted terms on its page. */
  readonly gated: boolean;
}

/** How to ask. */
export interface HubQuestion {
  readonly token?: string | undefined;
  /** Pickle files that may be loaded, by name. */
  readonly allowPickle?: readonly string[] | undefined;
  /** HF_ENDPOINT and MODELSCOPE_ENDPOINT (or MODELSCOPE_DOMAIN) name mirrors. Default: the process's own variables. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: 5 seconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

interface Listed {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Sums the sizes of a hub model's files, as fetch_weights.py would choose them. `hub` asks both and takes the first that answers.
 * Throws a Fault: not found, revision, forbidden, pickle only, rate-limited, unreachable.
 */
export async function hubFileSizes(
  id: string,
  source: "hub" | Hub,
  revision?: string,
  question: HubQuestion = {},
): Promise<HubSizes> {
  const model: ModelSource = { source, id, ...(revision === undefined ? {} : { revision }) };
  if (source !== "hub") return sizesAt(source, model, question);
  const abort = new AbortController();
  const signal = AbortSignal.any([abort.signal, ...(question.signal === undefined ? [] : [question.signal])]);
  const asked = (["huggingface", "modelscope"] as const).map((hub) => sizesAt(hub, model, { ...question, signal }));
  try {
    return await Promise.any(asked);
  } catch (thrown) {
    const faults = ((thrown as AggregateError).errors as unknown[]).map(asFault);
    const telling = faults.find(({ code }) => code !== "weights-unreachable") ?? faults[0];
    throw new Fault({
      ...(telling ?? asFault(thrown)).toFacts(),
      message: faults.map(({ message }) => message).join(" "),
    });
  } finally {
    abort.abort();
  }
}

async function sizesAt(hub: Hub, model: ModelSource, question: HubQuestion): Promise<HubSizes> {
  try {
    const found = await (hub === "huggingface" ? huggingFace : modelScope)(model, question);
    const chosen = selectWeights(found.listed, question.allowPickle ?? []);
    if (typeof chosen === "string") throw hubFault(hub, model, { fault: chosen, detail: "" });
    const bytes = chosen.reduce((sum, file) => sum + file.bytes, 0);
    return { hub, bytes, files: chosen.length, license: found.license, gated: found.gated };
  } catch (thrown) {
    if (thrown instanceof Fault) throw thrown;
    if (thrown instanceof Refused) throw hubFault(hub, model, { fault: thrown.kind, detail: thrown.message });
    const { message, cause } = thrown as Error;
    throw hubFault(hub, model, { fault: "unreachable", detail: cause instanceof Error ? cause.message : message });
  }
}

interface Told {
  readonly listed: readonly Listed[];
  readonly license: string | undefined;
  readonly gated: boolean;
}

const name = z.union([z.string(), z.array(z.string()).transform((names) => names.join(", "))]).nullish();

const huggingFaceAnswer = z.object({
  siblings: z.array(z.object({ rfilename: z.string(), size: z.number().nullish() })),
  gated: z.union([z.boolean(), z.string()]).nullish(),
  cardData: z.object({ license: name, license_name: name }).nullish(),
});

async function huggingFace({ id, revision }: ModelSource, question: HubQuestion): Promise<Told> {
  const { environment = process.env } = question;
  const base = hubEndpoint("huggingface", environment);
  const at = revision === undefined ? "" : `/revision/${encodeURIComponent(revision)}`;
  const { siblings, gated, cardData } = await read(
    `${base}/api/models/${pathOf(id)}${at}?blobs=true`,
    huggingFaceAnswer,
    question,
  );
  return {
    listed: siblings.map(({ rfilename, size }) => ({ path: rfilename, bytes: size ?? 0 })),
    license: cardData?.license_name ?? cardData?.license ?? undefined,
    gated: gated !== undefined && gated !== null && gated !== false,
  };
}

const modelScopeFiles = z.object({
  Data: z.object({
    Files: z.array(z.object({ Path: z.string(), Size: z.number().nullish(), Type: z.string().nullish() })),
  }),
});
const modelScopeModel = z.object({ Data: z.object({ License: z.string().nullish() }) });

async function modelScope({ id, revision = "master" }: ModelSource, question: HubQuestion): Promise<Told> {
  const { environment = process.env } = question;
  const address = `${hubEndpoint("modelscope", environment)}/api/v1/models/${pathOf(id)}`;
  // Ours for a branch whose commit ModelScope does not tell.
  const branch = revision.replace(/^files-[0-9a-f]{40}@?/, "") || "master";
  const query = `Revision=${encodeURIComponent(branch)}&Recursive=True`;
  const [listed, card] = await Promise.all([
    read(`${address}/repo/files?${query}`, modelScopeFiles, question),
    read(address, modelScopeModel, question).catch(() => undefined),
  ]);
  const files = listed.Data.Files.filter(({ Type }) => Type !== "tree");
  const license = card?.Data.License;
  return {
    listed: files.map(({ Path, Size }) => ({ path: Path, bytes: Size ?? 0 })),
    license: license === "" || license === null ? undefined : license,
    gated: false,
  };
}

function pathOf(id: string): string {
  return id.split("/").map(encodeURIComponent).join("/");
}

/** An answer that is no answer; `kind` as in hub-faults.ts. */
class Refused extends Error {
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

async function read<S extends z.ZodType>(
  url: string,
  schema: S,
  { token, timeoutMs = 5000, signal }: HubQuestion,
): Promise<z.output<S>> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const timeout = AbortSignal.timeout(timeoutMs);
  const both = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  const answer = await proxiedFetch(new Request(url, { headers }), { signal: both });
  if (answer.ok) {
    const parsed = schema.safeParse(await answer.json().catch(() => undefined));
    if (parsed.success) return parsed.data;
    throw new Refused("unreachable", "its answer is not a hub's");
  }
  const told = answer.headers.get("X-Error-Code") ?? (await answer.text()).slice(0, 500);
  throw new Refused(kindOf(answer.status, told, token !== undefined), `HTTP ${answer.status}`);
}

function kindOf(status: number, told: string, hasToken: boolean): string {
  if (/GatedRepo/.test(told)) return "gated";
  if (/RevisionNotFound|revision not found/i.test(told)) return "revision";
  if (status === 429) return "rate-limited";
  // Hugging Face answers 401 to strangers for what is not there.
  if (status === 404 || (status === 401 && !hasToken)) return "not-found";
  return status === 401 || status === 403 ? "forbidden" : "unreachable";
}
