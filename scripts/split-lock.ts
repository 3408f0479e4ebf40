import { readFile } from "node:fs/promises";

/** The packages of a lock, one text each (requirement, marker and hashes), in the order of the lock. */
export interface SplitLock {
  /** All that comes from PyPI whatever the device. */
  readonly base: readonly string[];
  /** torch and the CUDA libraries that only it needs: an index of PyTorch's replaces them where one is reachable. */
  readonly torch: readonly string[];
}

const torchFamily = /^(torch|torchaudio|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/;

/** Does the entry apply on no platform at all? So uv writes what overrides.txt took out. */
function appliesNowhere(entry: string): boolean {
  const marker = /^[^\\\n]*? ; ([^\\\n]*)/.exec(entry)?.[1];
  return marker?.split(" or ").every((part) => part.includes("sys_platform == 'never'")) ?? false;
}

/** Splits what `uv pip compile --generate-hashes` printed; comments and entries that apply on no platform are left out. */
export function splitLock(text: string): SplitLock {
  const entries = lockEntries(text);
  return {
    base: entries.filter((entry) => !torchFamily.test(entry)),
    torch: entries.filter((entry) => torchFamily.test(entry)),
  };
}

/** The entries of a lock, without comments and those that apply on no platform. */
export function lockEntries(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#"))
    .join("\n")
    .split(/\n(?=\S)/)
    .filter((entry) => !appliesNowhere(entry));
}

/** The entries of the lock `text` whose packages none of the lock files at `paths` has. */
export async function entriesBeyond(text: string, paths: readonly string[]): Promise<string[]> {
  const nameOf = (entry: string): string => entry.slice(0, entry.indexOf("=="));
  const known = await Promise.all(paths.map(async (path) => lockEntries(await readFile(path, "utf8")).map(nameOf)));
  const names = new Set(known.flat());
  return lockEntries(text).filter((entry) => !names.has(nameOf(entry)));
}
