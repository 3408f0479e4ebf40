import { z } from "zod";
import { asFault, Fault } from "../../recipe/fault.ts";
import { fileDigest } from "../../recipe/lifecycle.ts";
import type { Handler } from "../context.ts";
import { diskFullFault, saysDiskFull } from "../folders.ts";
import { ByteReader, readFrames, watched, writeFrames } from "./frames.ts";
import { bytesHere, storeFrame } from "./store.ts";

/** How much of each file is here already. */
export const filesState: Handler<"files-state"> = async ({ dataDirectory, folder, files }) => {
  requireInside(dataDirectory, folder);
  return { here: await bytesHere(folder, files) };
};

const receiving = z.object({ dataDirectory: z.string(), folder: z.string() });
const sending = receiving.extend({ files: z.array(fileDigest.extend({ offset: z.int().min(0) })) });

/** No byte for so long: the other end is gone. */
const silence = 120_000;

/** A sign of life, at most so often. */
const signMs = 1000;

/**
 * `node agent.mjs receive`: files on stdin, after a line that says where to. Lines of JSON tell how many bytes arrived, each file that is
 * done, or a fault.
 */
export async function receive(): Promise<void> {
  const tell = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
  const sign = signOf((received) => tell({ received }));
  let place = "the data directory";
  try {
    const reader = new ByteReader(watched(process.stdin as AsyncIterable<Buffer>, silence, () => process.exit(1)));
    const { dataDirectory, folder } = receiving.parse(JSON.parse((await reader.line()) ?? ""));
    requireInside(dataDirectory, folder);
    place = dataDirectory;
    for await (const frame of readFrames(reader)) {
      tell({ path: frame.head.path, result: await storeFrame(folder, frame, sign) });
    }
  } catch (thrown) {
    const full = saysDiskFull(String((thrown as NodeJS.ErrnoException).code));
    tell({ fault: (full ? await diskFullFault("what is sent here", place) : asFault(thrown)).toFacts() });
    process.stdin.destroy();
  }
}

/** Tells what arrived: the first bytes at once, more of them now and then. */
function signOf(tell: (bytes: number) => void): (count: number) => void {
  let [bytes, toldAt] = [0, -Infinity];
  return (count) => {
    bytes += count;
    const now = performance.now();
    if (now - toldAt < signMs) return;
    toldAt = now;
    tell(bytes);
  };
}

/** `node agent.mjs send`: the files that a line on stdin names, on stdout. A fault is a line of JSON on stderr: stdout is in the middle of a file. */
export async function send(): Promise<void> {
  process.stdout.on("error", () => process.exit(1));
  try {
    const reader = new ByteReader(process.stdin as AsyncIterable<Buffer>);
    const { dataDirectory, folder, files } = sending.parse(JSON.parse((await reader.line()) ?? ""));
    requireInside(dataDirectory, folder);
    await writeFrames(folder, files, process.stdout);
  } catch (thrown) {
    process.stderr.write(`${JSON.stringify({ fault: asFault(thrown).toFacts() })}\n`);
    process.exitCode = 1;
  } finally {
    process.stdin.destroy();
  }
}

/** Nothing else of the host is read or written for others. */
function requireInside(dataDirectory: string, folder: string): void {
  if (folder.startsWith(`${dataDirectory}/`) && !folder.split("/").includes("..")) return;
  throw new Fault({ code: "path-outside", message: `${folder} is not in ${dataDirectory}.`, blame: "bug" });
}
