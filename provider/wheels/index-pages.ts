import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { reasonOf } from "../../agent/datasets/fetch.ts";
import { proxiedFetch } from "../../agent/proxied-fetch.ts";
import { Fault } from "../../recipe/fault.ts";
import { addressOf } from "../../recipe/redact.ts";

/** A file as a package index names it. */
export interface IndexFile {
  readonly filename: string;
  readonly url: string;
  readonly sha256: string | undefined;
  readonly bytes: number | undefined;
}

const simplePage = z.object({
  files: z.array(
    z.object({
      filename: z.string(),
      url: z.string(),
      hashes: z.record(z.string(), z.string()).default({}),
      size: z.int().optional(),
    }),
  ),
});

const tries = 4;
const accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";

/**
 * The files that a page of an index names (PEP 691's JSON, or the older HTML); empty where the index has no such page.
 * `pauseMs`: before the second try, doubled for each further one. Throws Fault `index-unreachable`.
 */
export async function filesOf(page: string, signal: AbortSignal, pauseMs = 1000): Promise<IndexFile[]> {
  const { url, headers } = withoutPassword(page);
  let reason = "";
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    signal.throwIfAborted();
    if (attempt > 1) await delay(pauseMs * 2 ** (attempt - 2), undefined, { signal });
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(30_000)]);
      const answer = await proxiedFetch(url, { signal: limit, headers: { ...headers, accept } });
      if (answer.status === 404) return [];
      if (answer.ok) return read(await answer.text(), answer.url || url);
      reason = `HTTP ${answer.status}`;
      if (answer.status < 500 && answer.status !== 429) break;
    } catch (thrown) {
      signal.throwIfAborted();
      reason = reasonOf(thrown);
    }
  }
  throw new Fault({
    code: "index-unreachable",
    property: "compute.host",
    message: `${addressOf(url)} could not be read: ${reason}.`,
    next: "This machine fetches the packages for the host: let it reach PyPI, or set UV_DEFAULT_INDEX to a mirror; then run it again.",
    blame: "infrastructure",
  });
}

/** fetch refuses an address with a password: it goes into a header instead. */
export function withoutPassword(address: string): { readonly url: string; readonly headers: Record<string, string> } {
  const url = new URL(address);
  const { username, password } = url;
  if (username === "" && password === "") return { url: address, headers: {} };
  url.username = url.password = "";
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url: url.href, headers: { authorization: `Basic ${Buffer.from(pair).toString("base64")}` } };
}

function read(text: string, base: string): IndexFile[] {
  if (text.trimStart().startsWith("{")) {
    const { files } = simplePage.parse(JSON.parse(text));
    return files.map(({ filename, url, hashes, size }) => {
      return { filename, url: new URL(url, base).href, sha256: hashes["sha256"], bytes: size };
    });
  }
  return [...text.matchAll(/<a\s[^>]*?href\s*=\s*["']([^"']+)["']/gi)].flatMap(([, link = ""]) => {
    const url = new URL(link.replaceAll("&amp;", "&"), base);
    const sha256 = /^#sha256=([0-9a-f]{64})$/.exec(url.hash)?.[1];
    url.hash = "";
    const filename = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
    return filename === "" ? [] : [{ filename, url: url.href, sha256, bytes: undefined }];
  });
}
