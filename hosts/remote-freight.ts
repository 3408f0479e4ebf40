import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { ByteReader, readFrames, writeFrames } from "../agent/transfer/frames.ts";
import { bytesHere, storeFrame } from "../agent/transfer/store.ts";
import { withoutUndefined } from "../recipe/defined.ts";
import { Fault } from "../recipe/fault.ts";
import { type FileDigest, faultFacts } from "../recipe/lifecycle.ts";
import type { CommandOptions, Freight } from "./host.ts";
import { LostConnection, type Programs } from "./remote-command.ts";
import type { RemoteLink } from "./remote-link.ts";

/** A file with the bytes that the receiver has; undefined where it has it whole. */
type Wanted = FileDigest & { readonly offset: number };

const answer = z.union([
  z.object({ path: z.string(), result: z.enum(["whole", "torn", "wrong"]) }),
  z.object({ received: z.int() }),
  z.object({ fault: faultFacts }),
]);

/** Where a transfer takes place. */
export interface Route {
  readonly link: RemoteLink;
  readonly programs: Programs;
  readonly dataDirectory: string;
}

/** Files that the receiver does not have whole, by what `files-state` or `bytesHere` say. */
export function wantedOf(files: readonly FileDigest[], here: readonly number[]): Wanted[] {
  return files.flatMap((file, index) => {
    const offset = here[index] ?? 0;
    return offset < 0 ? [] : [{ ...file, offset }];
  });
}

/** Sends files to the host, once. Throws LostConnection, or a Fault where they don't arrive as they are. */
export async function sendFiles(route: Route, freight: Freight, wanted: readonly Wanted[], options: CommandOptions) {
  const { link, programs, dataDirectory } = route;
  const tell = teller(wanted, `sending to ${link.description}`, options);
  const child = link.start([programs.node, programs.agent, "receive"]);
  const closed = once(child, "close") as Promise<[number | null]>;
  const stderr = text(child.stderr);
  const kill = (): void => child.kill("SIGTERM");
  options.signal?.addEventListener("abort", kill, { once: true });
  child.stdin.on("error", () => undefined);
  child.stdin.write(`${JSON.stringify({ dataDirectory, folder: freight.there })}\n`);
  const writing = writeFrames(freight.here, wanted, child.stdin, tell).then(
    () => void child.stdin.end(),
    (thrown: unknown) => {
      child.stdin.destroy();
      return thrown;
    },
  );
  try {
    const done = new Set<string>();
    let moved = false;
    for await (const line of createInterface({ input: child.stdout })) {
      const told = answer.safeParse(parsed(line)).data;
      if (told === undefined) continue;
      if ("fault" in told) throw new Fault(withoutUndefined(told.fault));
      moved = true;
      if ("received" in told) continue;
      if (told.result === "wrong") throw damaged(told.path, link.description);
      if (told.result === "whole") done.add(told.path);
    }
    const [[code], said, failed] = await Promise.all([closed, stderr, writing]);
    if (done.size === wanted.length) return;
    options.signal?.throwIfAborted();
    // Our own file could not be read: another try does not help.
    if (failed instanceof Fault) throw failed;
    throw new LostConnection(await link.fault(link.isLost(code) ? said : early(code, said), child), moved);
  } finally {
    kill();
    options.signal?.removeEventListener("abort", kill);
  }
}

/** Fetches files from the host, once. Throws as `sendFiles` does. */
export async function fetchFiles(route: Route, freight: Freight, wanted: readonly Wanted[], options: CommandOptions) {
  const { link, programs, dataDirectory } = route;
  const tell = teller(wanted, `fetching from ${link.description}`, options);
  const child = link.start([programs.node, programs.agent, "send"]);
  const closed = once(child, "close") as Promise<[number | null]>;
  const stderr = text(child.stderr);
  const kill = (): void => child.kill("SIGTERM");
  options.signal?.addEventListener("abort", kill, { once: true });
  child.stdin.on("error", () => undefined);
  child.stdin.write(`${JSON.stringify({ dataDirectory, folder: freight.there, files: wanted })}\n`);
  try {
    let whole = 0;
    let moved = false;
    const arrived = (count: number): void => {
      moved = true;
      tell(count);
    };
    for await (const frame of readFrames(new ByteReader(child.stdout as AsyncIterable<Buffer>))) {
      const result = await storeFrame(freight.here, frame, arrived);
      if (result === "wrong") throw damaged(frame.head.path, link.description);
      if (result === "whole") whole += 1;
    }
    const [[code], said] = await Promise.all([closed, stderr]);
    if (whole === wanted.length) return;
    options.signal?.throwIfAborted();
    for (const line of said.split("\n")) {
      const told = answer.safeParse(parsed(line)).data;
      if (told !== undefined && "fault" in told) throw new Fault(withoutUndefined(told.fault));
    }
    throw new LostConnection(await link.fault(link.isLost(code) ? said : early(code, said), child), moved);
  } finally {
    kill();
    options.signal?.removeEventListener("abort", kill);
  }
}

/** What of the freight is here already. */
export async function wantedHere({ here, files }: Freight): Promise<Wanted[]> {
  return wantedOf(files, await bytesHere(here, files));
}

/** What is said of a transfer that the other end gave up by itself. */
function early(code: number | null, said: string): string {
  const words = said.trim().split("\n").at(-1) ?? "";
  return `the transfer ended early (exit code ${code})${words === "" ? "" : `: ${words}`}`;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Was it the part of an earlier try that made a file wrong? It is gone now, and the file is carried from its start. */
export function isWrongStart(thrown: unknown, wanted: readonly Wanted[]): boolean {
  return thrown instanceof Fault && thrown.code === "transfer-damaged" && wanted.some(({ offset }) => offset > 0);
}

function damaged(path: string, address: string): Fault {
  return new Fault({
    code: "transfer-damaged",
    message: `${path} did not arrive as it is: its sha256 differs between this machine and ${address}.`,
    next: "It changed while it was sent, or is damaged where it comes from. Run it again.",
    blame: "infrastructure",
  });
}

/** Tells how far a transfer is, at most a few times a second. */
function teller(wanted: readonly Wanted[], what: string, { onProgress }: CommandOptions): (count: number) => void {
  const total = wanted.reduce((sum, { bytes, offset }) => sum + bytes - offset, 0);
  let started = NaN;
  let sent = 0;
  let told = 0;
  return (count) => {
    const now = performance.now();
    if (sent === 0) started = told = now;
    sent += count;
    if (now - told < 250) return;
    told = now;
    const perSecond = (sent / (now - started)) * 1000;
    // The first bytes wait for the other end: what they say of the speed is nothing to go by.
    const secondsLeft = now - started < 1000 ? undefined : (total - sent) / Math.max(1, perSecond);
    onProgress?.({
      message: `${what}: ${megabytes(sent)} of ${megabytes(total)}, ${megabytes(perSecond)}/s`,
      fraction: Math.min(1, sent / Math.max(1, total)),
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    });
  };
}

function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
