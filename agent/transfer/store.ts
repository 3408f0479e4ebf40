import { chmod, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import type { FileDigest } from "../../recipe/lifecycle.ts";
import { sha256OfFile, sizeOf } from "../files.ts";
import type { Frame } from "./frames.ts";

/** Name of a file that is not whole yet. */
const partOf = (path: string): string => `${path}.part`;

/** How many bytes of each file are here, to go on from there; -1 where it is whole and right. */
export async function bytesHere(folder: string, files: readonly FileDigest[]): Promise<number[]> {
  const here: number[] = [];
  for (const { path, bytes, sha256 } of files) {
    const whole = inside(folder, path);
    const isWhole = (await sizeOf(whole)) === bytes && (await sha256IfThere(whole)) === sha256;
    const part = isWhole ? bytes : await sizeOf(partOf(whole));
    // A part that is longer than the file is another file's; one that is as long waits for its check alone.
    here.push(isWhole ? -1 : part <= bytes ? part : 0);
  }
  return here;
}

async function sha256IfThere(path: string): Promise<string | undefined> {
  return sha256OfFile(path).catch(() => undefined);
}

/**
 * Writes a file that arrives beside its place, checks it, and puts it there. `whole`: its bytes are the promised ones;
 * `torn`: the wire ended, and what came is kept for the next try; `wrong`: other bytes, thrown away.
 */
export async function storeFrame(
  folder: string,
  { head, body }: Frame,
  onBytes: (count: number) => void = () => undefined,
): Promise<"whole" | "torn" | "wrong"> {
  const target = inside(folder, head.path);
  const part = partOf(target);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const file = await open(part, head.offset === 0 ? "w" : "r+", 0o600);
  let at = head.offset;
  try {
    await file.truncate(head.offset);
    for await (const chunk of body) {
      await file.write(chunk, 0, chunk.length, at);
      at += chunk.length;
      onBytes(chunk.length);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (at < head.bytes) return "torn";
  if ((await sha256OfFile(part)) !== head.sha256) {
    await rm(part, { force: true });
    return "wrong";
  }
  if (head.executable === true) await chmod(part, 0o700);
  await rename(part, target);
  return "whole";
}

/** The file's place in the folder. Throws Fault `path-outside` for one that leads out of it. */
function inside(folder: string, path: string): string {
  if (!path.startsWith("/") && !path.split("/").includes("..") && path !== "") return join(folder, path);
  throw new Fault({ code: "path-outside", message: `${JSON.stringify(path)} leads out of ${folder}.`, blame: "bug" });
}
