import { z } from "zod";
import { asFault, Fault } from "../../recipe/fault.ts";
import { fileDigest } from "../../recipe/lifecycle.ts";
import type { Handler } from "../context.ts";
import { diskFullFault, saysDiskFull } from "../folders.ts";
import { ByteReader, readFrames, writeFrames } from "./frames.ts";
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

/** `node agent.mjs receive`: files on stdin, after a line that says where to; a line of JSON for each that is done. */
export async function receive(): Promise<void> {
  const reader = new ByteReader(process.stdin as AsyncIterable<Buffer>);
  const { dataDirectory, folder } = receiving.parse(JSON.parse((await reader.line()) ?? ""));
  requireInside(dataDirectory, folder);
  const watch = setTimeout(() => process.exit(1), silence);
  const tell = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
  try {
    for await (const frame of readFrames(reader)) {
      tell({ path: frame.head.path, result: await storeFrame(folder, frame, () => watch.refresh()) });
    }
  } catch (thrown) {
    const full = saysDiskFull(String((thrown as NodeJS.ErrnoException).code));
    tell({ fault: (full ? await diskFullFault("what is sent here", dataDirectory) : asFault(thrown)).toFacts() });
    process.stdin.destroy();
  } finally {
    clearTimeout(watch);
  }
}

/** `node agent.mjs send`: the files that a line on stdin names, on stdout. */
export async function send(): Promise<void> {
  const reader = new ByteReader(process.stdin as AsyncIterable<Buffer>);
  const { dataDirectory, folder, files } = sending.parse(JSON.parse((await reader.line()) ?? ""));
  requireInside(dataDirectory, folder);
  process.stdout.on("error", () => process.exit(1));
  await writeFrames(folder, files, process.stdout);
  process.stdin.destroy();
}

/** Nothing else of the host is read or written for others. */
function requireInside(dataDirectory: string, folder: string): void {
  if (folder.startsWith(`${dataDirectory}/`) && !folder.split("/").includes("..")) return;
  throw new Fault({ code: "path-outside", message: `${folder} is not in ${dataDirectory}.`, blame: "bug" });
}
