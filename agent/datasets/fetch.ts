import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "../../recipe/fault.ts";
import { addressOf, plainAddresses } from "../../recipe/redact.ts";
import type { RemoteFile } from "../../recipe/sources.ts";
import { diskFullFault, saysDiskFull } from "../folders.ts";
import { proxiedFetch } from "../proxied-fetch.ts";

/** How a download is made and heard of. */
export interface FetchOptions {
  readonly signal: AbortSignal;
  /** Sent as a bearer token to a hub; a file behind another address never gets it. */
  readonly token?: string | undefined;
  /** Sent with every request for this file, wherever it lies. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly onBytes?: (bytes: number) => void;
  /** Before each further try; tests shorten it. */
  readonly pauseMs?: number;
}

const tries = 5;
/** A server that sends nothing for so long is taken for dead. */
const silenceMs = 60_000;

/**
 * Downloads one file to `folder`/path, going on where an earlier try ended, and checks size and hash before it gets its name. A file that is
 * there already was checked then. Throws Fault `dataset-unreachable`, `-gone`, `-gated`, `-hash` or `disk-full`.
 */
export async function fetchFile(file: RemoteFile, folder: string, options: FetchOptions): Promise<string> {
  const target = join(folder, file.path);
  if ((await sizeOf(target)) !== undefined) return target;
  const part = `${target}.part`;
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  let reason = "";
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    options.signal.throwIfAborted();
    if (attempt > 1) await wait((options.pauseMs ?? 1000) * 2 ** (attempt - 2), undefined, { signal: options.signal });
    try {
      await download(file, part, options);
      const wrong = await mismatchOf(file, part);
      if (wrong === undefined) {
        await rename(part, target);
        return target;
      }
      // Bytes that are not the promised ones are no start to go on from.
      await rm(part, { force: true });
      reason = wrong;
    } catch (thrown) {
      if (thrown instanceof Fault || options.signal.aborted) throw thrown;
      reason = reasonOf(thrown);
      if (saysDiskFull(reason)) throw await diskFullFault(file.path, folder, file.bytes);
    }
  }
  throw failed(file, reason);
}

async function download(file: RemoteFile, part: string, options: FetchOptions): Promise<void> {
  const { signal, token, onBytes } = options;
  const have = (await sizeOf(part)) ?? 0;
  if (file.bytes !== undefined && have >= file.bytes && have > 0) return;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  const headers = {
    ...options.headers,
    ...(have > 0 ? { range: `bytes=${have}-` } : {}),
    ...(token === undefined || file.hub !== true ? {} : { authorization: `Bearer ${token}` }),
  };
  try {
    const answer = await proxiedFetch(file.url, { headers, signal: AbortSignal.any([signal, silence.signal]) });
    // What is there is the whole file.
    if (answer.status === 416) return;
    if (!answer.ok) throw refusal(file, answer.status);
    if (answer.body === null) return;
    const flags = have > 0 && answer.status === 206 ? "a" : "w";
    const body = Readable.fromWeb(answer.body);
    body.on("data", (chunk: Buffer) => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs);
      onBytes?.(chunk.length);
    });
    await pipeline(body, createWriteStream(part, { flags, mode: 0o600, flush: true }));
  } finally {
    clearTimeout(timer);
  }
}

/** A Fault for what another try can't mend, else an error to try again after. */
function refusal(file: RemoteFile, status: number): Error {
  const where = addressOf(file.url);
  if (status === 404 || status === 410) {
    return new Fault({
      code: "dataset-gone",
      property: "datasets",
      message: `${where} is not there (HTTP ${status}).`,
      next: "Check the address or id and the revision.",
    });
  }
  if (status === 401 || status === 403) {
    return new Fault({
      code: "dataset-gated",
      property: "datasets",
      message: `${where} refuses access (HTTP ${status}).`,
      next: "Ask for access on its page and set `pulumi config set --secret tuneup:hubToken`; s3:// takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    });
  }
  return new Error(`HTTP ${status}`);
}

async function mismatchOf({ bytes, sha256, gitOid }: RemoteFile, part: string): Promise<string | undefined> {
  const size = (await sizeOf(part)) ?? 0;
  if (bytes !== undefined && size !== bytes) return `${size} bytes came instead of ${bytes}`;
  if (sha256 !== undefined && (await digest(part, createHash("sha256"))) !== sha256) return "its sha256 is another one";
  if (sha256 !== undefined || gitOid === undefined) return undefined;
  // Small files of Hugging Face have no sha256: git's own hash.
  const hash = createHash("sha1").update(`blob ${size}\0`);
  return (await digest(part, hash)) === gitOid ? undefined : "its hash is another one";
}

async function digest(path: string, hash: ReturnType<typeof createHash>): Promise<string> {
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function failed({ url }: RemoteFile, reason: string): Fault {
  const damaged = /instead of|another one/.test(reason);
  return new Fault({
    code: damaged ? "dataset-hash" : "dataset-unreachable",
    property: "datasets",
    message: `${addressOf(url)} could not be fetched in ${tries} tries: ${reason}.`,
    next: damaged
      ? "The file changed, or a proxy or mirror changes it: check its sha256."
      : "Run it again: it goes on where it ended. Mirrors: HF_ENDPOINT, MODELSCOPE_ENDPOINT; proxies: https_proxy, NODE_EXTRA_CA_CERTS.",
    blame: "infrastructure",
  });
}

/** fetch hides what happened in the cause. */
export function reasonOf(thrown: unknown): string {
  const { message, cause } = thrown as Error;
  const { code, message: deeper } = (cause ?? {}) as Partial<NodeJS.ErrnoException>;
  // What fetch refuses to ask it quotes whole, with a password or a signature.
  return plainAddresses(code ?? deeper ?? message).slice(0, 200);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
