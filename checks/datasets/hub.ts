import { createHash } from "node:crypto";
import { z } from "zod";
import { reasonOf } from "../../agent/datasets/fetch.ts";
import { proxiedFetch } from "../../agent/proxied-fetch.ts";
import type { HubFiles } from "../../recipe/dataset-files.ts";
import { Fault } from "../../recipe/fault.ts";
import { hubEndpoint } from "../../recipe/mirrors.ts";
import type { Found } from "../../recipe/pins.ts";
import type { RemoteFile } from "../../recipe/sources.ts";

/** Where to ask, with whose token, and how long. */
export interface HubOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly token?: string | undefined;
  readonly signal: AbortSignal;
}

/** A hub dataset as it is at one revision: the files that train. */
export interface HubDataset extends Found {
  readonly files: readonly RemoteFile[];
}

interface Listing {
  readonly revision: string;
  readonly files: readonly RemoteFile[];
  /** Address of a file by its path. */
  readonly readme: RemoteFile | undefined;
}

const patienceMs = 15_000;
const names = { huggingface: "Hugging Face", modelscope: "ModelScope" } as const;

/** What the hub, or the first of both that has it, holds for these words. Throws Fault. */
export async function resolveHubDataset(hub: HubFiles, options: HubOptions): Promise<HubDataset> {
  if (hub.source !== "hub") return resolveAt(hub.source, hub, options);
  // The slower one would keep a command from ending.
  const abort = new AbortController();
  const asking = { ...options, signal: AbortSignal.any([options.signal, abort.signal]) };
  try {
    return await Promise.any([resolveAt("huggingface", hub, asking), resolveAt("modelscope", hub, asking)]);
  } catch (thrown) {
    const faults = (thrown as AggregateError).errors as unknown[];
    const known = faults.filter((fault): fault is Fault => fault instanceof Fault);
    const [first] = known;
    if (first === undefined || known.length < faults.length) throw faults.find((fault) => !(fault instanceof Fault));
    const telling = known.find(({ code }) => code !== "dataset-unreachable") ?? first;
    throw new Fault({ ...telling.toFacts(), message: known.map(({ message }) => message).join(" ") });
  } finally {
    abort.abort();
  }
}

async function resolveAt(
  source: "huggingface" | "modelscope",
  hub: HubFiles,
  options: HubOptions,
): Promise<HubDataset> {
  const listing = await (source === "huggingface" ? huggingFace : modelScope)(hub, options);
  const { readme } = listing;
  const card = readme === undefined ? "" : await (await ask(source, hub, readme.url, options)).text();
  // It brings yaml, and the provider, which loads this file at its start, asks a hub but rarely.
  const { selectFiles } = await import("./hub-files.ts");
  return { source, revision: listing.revision, files: selectFiles(listing.files, hub, card) };
}

const tree = z.array(
  z.looseObject({
    type: z.string(),
    path: z.string(),
    size: z.number().default(0),
    oid: z.string().optional(),
    lfs: z.looseObject({ oid: z.string(), size: z.number() }).optional(),
  }),
);

/** Hugging Face and its mirrors (HF_ENDPOINT). */
async function huggingFace(hub: HubFiles, options: HubOptions): Promise<Listing> {
  const endpoint = hubEndpoint("huggingface", options.environment);
  const api = `${endpoint}/api/datasets/${hub.id}`;
  const at = encodeURIComponent(hub.revision ?? "main");
  const said: unknown = await (await ask("huggingface", hub, `${api}/revision/${at}`, options)).json();
  const { sha } = parse("huggingface", hub, z.looseObject({ sha: z.string().min(1) }), said);
  const files: RemoteFile[] = [];
  let page: string | undefined = `${api}/tree/${sha}?recursive=true`;
  while (page !== undefined) {
    const answer = await ask("huggingface", hub, page, options);
    for (const { type, path, size, oid, lfs } of parse("huggingface", hub, tree, await answer.json())) {
      if (type !== "file") continue;
      const url = `${endpoint}/datasets/${hub.id}/resolve/${sha}/${path.split("/").map(encodeURIComponent).join("/")}`;
      const hash = lfs !== undefined ? { sha256: lfs.oid } : oid === undefined ? {} : { gitOid: oid };
      files.push({ path, url, bytes: lfs?.size ?? size, ...hash, hub: true });
    }
    page = nextPage(endpoint, answer.headers.get("link"));
  }
  return { revision: sha, files, readme: files.find(({ path }) => path === "README.md") };
}

/** A mirror may name the hub itself in its links: the next page is asked of the mirror, and the token goes nowhere else. */
function nextPage(endpoint: string, link: string | null): string | undefined {
  const next = /<([^>]+)>;\s*rel="next"/.exec(link ?? "")?.[1];
  if (next === undefined) return undefined;
  const { pathname, search } = new URL(next, endpoint);
  return new URL(`${pathname}${search}`, endpoint).href;
}

const modelScopePage = z.looseObject({
  Data: z.looseObject({
    Files: z.array(
      z.looseObject({ Path: z.string(), Type: z.string(), Size: z.number().default(0), Sha256: z.string().nullish() }),
    ),
  }),
});
const pageSize = 100;

/** ModelScope names no commit: the revision is the hash of the branch's file list, and must be found there again. */
async function modelScope(hub: HubFiles, options: HubOptions): Promise<Listing> {
  const endpoint = `${hubEndpoint("modelscope", options.environment)}/api/v1/datasets/${hub.id}`;
  const [, hashed, branch] = /^files-([0-9a-f]{40})(?:@(.+))?$/.exec(hub.revision ?? "") ?? [];
  const at = hashed === undefined ? (hub.revision ?? "master") : (branch ?? "master");
  const files: RemoteFile[] = [];
  for (let page = 1; ; page += 1) {
    const query = { Revision: at, Root: "/", Recursive: "True", PageNumber: String(page), PageSize: String(pageSize) };
    const address = `${endpoint}/repo/tree?${new URLSearchParams(query).toString()}`;
    const said: unknown = await (await ask("modelscope", hub, address, options)).json();
    const listed = parse("modelscope", hub, modelScopePage, said).Data.Files;
    for (const { Path: path, Type: type, Size: bytes, Sha256: sha256 } of listed) {
      if (type === "tree") continue;
      const words = new URLSearchParams({ Source: "SDK", Revision: at, FilePath: path });
      const hash = typeof sha256 === "string" && sha256 !== "" ? { sha256 } : {};
      files.push({ path, url: `${endpoint}/repo?${words.toString()}`, bytes, ...hash, hub: true });
    }
    if (listed.length < pageSize) break;
  }
  const list = files.map(({ path, bytes, sha256 }) => [path, bytes, sha256 ?? null]).sort();
  const hash = createHash("sha1").update(JSON.stringify(list)).digest("hex");
  if (hashed !== undefined && hashed !== hash) throw moved(hub, at);
  const revision = /^[0-9a-f]{40}$/.test(at) ? at : `files-${hash}${at === "master" ? "" : `@${at}`}`;
  return { revision, files, readme: files.find(({ path }) => path === "README.md") };
}

function moved({ id }: HubFiles, branch: string): Fault {
  return new Fault({
    code: "dataset-moved",
    property: "datasets",
    message: `The files of ${id} at ModelScope changed since they were pinned: its ${branch} has others now, and ModelScope keeps no name for the old ones.`,
    next: "Delete its entry in the lock file beside the stack file to train on what is there now: it will be a new run.",
  });
}

async function ask(
  source: keyof typeof names,
  { id, revision }: HubFiles,
  url: string,
  options: HubOptions,
): Promise<Response> {
  const what = `${id}${revision === undefined ? "" : ` at ${revision}`}`;
  const headers: Record<string, string> =
    options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(patienceMs)]);
  let answer;
  try {
    answer = await proxiedFetch(url, { headers, signal });
  } catch (thrown) {
    if (options.signal.aborted) throw thrown;
    throw new Fault({
      code: "dataset-unreachable",
      property: "datasets",
      message: `${names[source]} can't be reached for ${what} (${reasonOf(thrown)}).`,
      next: "Check the network, or set a mirror: HF_ENDPOINT, MODELSCOPE_ENDPOINT, https_proxy.",
      blame: "infrastructure",
    });
  }
  if (answer.ok) return answer;
  if (answer.status === 404)
    throw refused("dataset-gone", `${names[source]} has no dataset ${what}.`, "Check its id and revision.");
  if (answer.status === 401 || answer.status === 403) {
    const next = "Ask for access on its page, and set `pulumi config set --secret tuneup:hubToken`.";
    throw refused(
      "dataset-gated",
      `${names[source]} refuses ${what} (HTTP ${answer.status}): it is private or gated.`,
      next,
    );
  }
  throw refused(
    "dataset-unreachable",
    `${names[source]} answered HTTP ${answer.status} for ${what}.`,
    "Try again later.",
  );
}

function refused(code: string, message: string, next: string): Fault {
  return new Fault({
    code,
    property: "datasets",
    message,
    next,
    blame: code === "dataset-gone" ? "user" : "infrastructure",
  });
}

function parse<S extends z.ZodType>(
  source: keyof typeof names,
  { id }: HubFiles,
  schema: S,
  value: unknown,
): z.output<S> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  throw refused(
    "dataset-unreachable",
    `${names[source]} answered something else than a list of files for ${id}.`,
    "Is a mirror or proxy set that answers in its place?",
  );
}
