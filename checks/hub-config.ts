import { proxiedFetch } from "../agent/proxied-fetch.ts";
import { hubEndpoint } from "../recipe/mirrors.ts";
import type { ModelSource } from "../recipe/sources.ts";

/** How to ask a hub. */
export interface HubConfigQuestion {
  readonly token?: string | undefined;
  /** HF_ENDPOINT and MODELSCOPE_ENDPOINT name mirrors. Default: the process's own variables. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: 5 seconds. */
  readonly timeoutMs?: number;
}

/** A config.json has a few kB. */
const mostBytes = 1 << 20;

/**
 * The config.json of a hub's model, parsed; of the first hub that has it for `hub`. Undefined where none gives it, and for what comes from no hub:
 * why is told by the check of weights, which asks the same hubs.
 */
export async function hubConfig(model: ModelSource, question: HubConfigQuestion): Promise<unknown> {
  const { source } = model;
  const hubs =
    source === "hub"
      ? (["huggingface", "modelscope"] as const)
      : source === "huggingface" || source === "modelscope"
        ? [source]
        : [];
  const asked = hubs.map((hub) => read(addressOf(hub, model, question), question));
  return Promise.any(asked).catch(() => undefined);
}

function addressOf(
  hub: "huggingface" | "modelscope",
  { id, revision }: ModelSource,
  { environment }: HubConfigQuestion,
) {
  const endpoint = hubEndpoint(hub, environment ?? process.env);
  const path = id.split("/").map(encodeURIComponent).join("/");
  if (hub === "huggingface") return `${endpoint}/${path}/resolve/${encodeURIComponent(revision ?? "main")}/config.json`;
  // Ours for a branch whose commit ModelScope does not tell.
  const branch = (revision ?? "").replace(/^files-[0-9a-f]{40}@?/, "") || "master";
  const query = new URLSearchParams({ Revision: branch, FilePath: "config.json" });
  return `${endpoint}/api/v1/models/${path}/repo?${query.toString()}`;
}

async function read(url: string, { token, timeoutMs = 5000 }: HubConfigQuestion): Promise<unknown> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const answer = await proxiedFetch(new Request(url, { headers }), { signal: AbortSignal.timeout(timeoutMs) });
  const text = answer.ok ? await answer.text() : "";
  if (!answer.ok || text.length > mostBytes) throw new Error(`no config.json at ${url}`);
  const config: unknown = JSON.parse(text);
  if (typeof config !== "object" || config === null || !("model_type" in config))
    throw new Error("not a model's config.json");
  return config;
}
