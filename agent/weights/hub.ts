import { join } from "node:path";
import { z } from "zod";
import { asFault, Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import { nearerHub } from "../../recipe/mirrors.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Context } from "../context.ts";
import { diskFullFault } from "../folders.ts";
import { pythonScript } from "../scripts.ts";
import { type Hub, hubFault, hubNames } from "./hub-faults.ts";
import { type Remote, sizeOf } from "./fetch.ts";
import { bytesOf, shortRevision } from "./record.ts";

const hubFile = z.object({
  path: z.string(),
  bytes: z.number(),
  sha256: z.string().nullable(),
  git: z.string().nullish(),
});

/** A model as a hub has it. */
export interface HubModel {
  readonly hub: Hub;
  /** A commit; `files-` and the hash of the list of files where ModelScope lets none be known. */
  readonly revision: string;
  /** What the hub calls this revision. */
  readonly at: string;
  /** As the model's card says it; null where it says none. */
  readonly license: string | null;
  readonly files: readonly z.infer<typeof hubFile>[];
}

const answer = z.union([
  z.object({ revision: z.string(), at: z.string(), license: z.string().nullable(), files: z.array(hubFile) }),
  z.object({ done: z.literal(true) }),
  z.object({ fault: z.string(), detail: z.string(), status: z.number().nullish() }),
]);

/** What every question to a hub needs. The token goes through the child's stdin and nowhere else. */
export interface HubAccess {
  readonly layout: Layout;
  /** Folder of the virtual environment with the hubs' own clients. */
  readonly environment: string;
  readonly token: string | undefined;
}

async function ask(
  access: HubAccess,
  question: Record<string, unknown>,
  context: Context,
): Promise<z.infer<typeof answer>> {
  const python = join(access.environment, "bin", "python");
  const { stdout, stderr, exitCode } = await runAttached(
    python,
    ["-I", await pythonScript(access.layout, "fetch_weights")],
    {
      python,
      signal: context.signal,
      input: JSON.stringify({ ...question, token: access.token ?? null }),
    },
  );
  const read = answer.safeParse(parse(stdout));
  if (read.success) return read.data;
  return { fault: "client", detail: lastWords(stderr) || `the hub's client ended with ${exitCode ?? "a signal"}` };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the hub, or the first of both that answers, has for this id and revision. Throws a Fault for each way to fail. */
export async function resolveModel(access: HubAccess, model: ModelSource, context: Context): Promise<HubModel> {
  if (model.source === "huggingface" || model.source === "modelscope") {
    return resolveAt(model.source, access, model, context);
  }
  const nearer = nearerHub(process.env);
  if (nearer !== undefined) return resolveInOrder(nearer, access, model, context);
  const abort = new AbortController();
  const signal = AbortSignal.any([context.signal, abort.signal]);
  const asked = (["huggingface", "modelscope"] as const).map((hub) =>
    resolveAt(hub, access, model, { ...context, signal }),
  );
  try {
    const first = await Promise.any(asked);
    context.log("info", `${model.id} comes from ${hubNames[first.hub]}, which answered first.`);
    return first;
  } catch (thrown) {
    const faults = (thrown as AggregateError).errors as unknown[];
    throw bothFailed(faults.map(asFault));
  } finally {
    abort.abort();
    await Promise.allSettled(asked);
  }
}

/** With mirrors (TUNEUP_MIRRORS) the nearer hub is asked first, and the other only where it can't help. */
async function resolveInOrder(nearer: Hub, access: HubAccess, model: ModelSource, context: Context): Promise<HubModel> {
  const faults: Fault[] = [];
  for (const hub of [nearer, nearer === "modelscope" ? "huggingface" : "modelscope"] as const) {
    try {
      return await resolveAt(hub, access, model, context);
    } catch (thrown) {
      faults.push(asFault(thrown));
      if (context.signal.aborted) break;
      context.log("info", `${hubNames[hub]} can't help: ${asFault(thrown).message}`);
    }
  }
  throw bothFailed(faults);
}

function bothFailed(faults: readonly Fault[]): Fault {
  const bug = faults.find(({ blame, code }) => blame === "bug" || code === "cancelled");
  if (bug !== undefined) return bug;
  const telling = faults.find(({ code }) => code !== "weights-unreachable") ?? faults[0];
  return new Fault({
    ...(telling?.toFacts() ?? { code: "weights-unreachable", message: "" }),
    message: faults.map(({ message }) => message).join(" "),
  });
}

async function resolveAt(hub: Hub, access: HubAccess, model: ModelSource, context: Context): Promise<HubModel> {
  const { id, revision = null, allowPickle: pickle = [] } = model;
  const question = { do: "resolve", hub, id, revision, pickle };
  const said = await ask(access, question, context);
  if ("revision" in said) return { hub, ...said };
  throw hubFault(hub, model, "fault" in said ? said : { fault: "client", detail: "an answer of the wrong kind" });
}

async function downloadModel(
  access: HubAccess,
  { id, found, folder, model }: { id: string; found: HubModel; folder: string; model: ModelSource },
  context: Context,
): Promise<void> {
  const { hub, revision, at } = found;
  const files = found.files.map(({ path }) => path);
  const said = await ask(access, { do: "download", hub, id, revision, at, folder, files }, context);
  if ("done" in said) return;
  if ("fault" in said && said.fault === "disk-full") throw await diskFullFault(id, folder, bytesOf(found.files));
  throw hubFault(hub, model, "fault" in said ? said : { fault: "client", detail: "" });
}

const hubPin = z.object({ source: z.enum(["hub", "huggingface", "modelscope"]), revision: z.string() });

/** The model as the hub has it, at the pin where there is one. Throws a Fault for each way to fail. */
export async function findOnHub(
  access: HubAccess,
  model: ModelSource,
  pin: { readonly source: string; readonly revision: string } | undefined,
  context: Context,
): Promise<Remote> {
  const wanted = pin === undefined ? model : { ...model, ...hubPin.parse(pin) };
  const found = await resolveModel(access, wanted, context);
  const license = found.license === null ? "its card names no licence" : `licence ${found.license}`;
  const name = hubNames[found.hub];
  return {
    source: found.hub,
    name,
    revision: found.revision,
    files: found.files,
    announcement: `${model.id} is ${shortRevision(found.revision)} at ${name}: ${sizeOf(found.files)}; ${license}.`,
    download: (folder, working) => downloadModel(access, { id: model.id, found, folder, model: wanted }, working),
  };
}
