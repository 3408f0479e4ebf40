/** A package as a lock pins it. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly marker: string | undefined;
  /** sha256 (hex) of every file that may be it; empty where an index names none. */
  readonly hashes: ReadonlySet<string>;
}

/** The packages of a lock, one for each marker, in its order. */
export function lockEntries(text: string): LockedPackage[] {
  const entries = text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .split(/\n(?=\S)/);
  return entries.flatMap((entry) => {
    const [, name, version, marker] =
      /^([\w.-]+)==([^\s;\\]+)(?: *; *((?:(?! --hash)[^\\\n])*))?/.exec(entry.trim()) ?? [];
    if (name === undefined || version === undefined) return [];
    const hashes = new Set([...entry.matchAll(/--hash=sha256:([0-9a-f]{64})/g)].map(([, hash = ""]) => hash));
    return [{ name, version, marker: marker?.trim(), hashes }];
  });
}
