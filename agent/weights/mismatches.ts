import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FileDigest } from "../../recipe/lifecycle.ts";

/** What a source says of one file. */
export interface ExpectedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string | null;
  /** Git's own hash of a small file, where the hub tells no sha256. */
  readonly git?: string | null | undefined;
}

/** The files in `folder` that are not what `source` said: missing, of another size, of another hash. */
export async function findMismatches(
  { source, files, folder }: { source: string; files: readonly ExpectedFile[]; folder: string },
  digests: readonly FileDigest[],
): Promise<{ readonly path: string; readonly how: string }[]> {
  const wrong: { readonly path: string; readonly how: string }[] = [];
  for (const { path, bytes, sha256, git } of files) {
    const digest = digests.find((candidate) => candidate.path === path);
    const said = `${source} says`;
    if (digest === undefined) wrong.push({ path, how: `${path} was not downloaded` });
    else if (digest.bytes !== bytes) {
      wrong.push({ path, how: `${path} has ${digest.bytes} bytes where ${said} ${bytes}` });
    } else if (sha256 !== null && digest.sha256 !== sha256) {
      wrong.push({ path, how: `${path} has another sha256 than ${said}` });
    } else if (sha256 === null && git != null && (await gitHash(join(folder, path))) !== git) {
      wrong.push({ path, how: `${path} has another Git hash than ${said}` });
    }
  }
  return wrong;
}

async function gitHash(path: string): Promise<string> {
  const bytes = await readFile(path);
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
