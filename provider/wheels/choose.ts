import type { Context } from "../../agent/context.ts";
import { Fault } from "../../recipe/fault.ts";
import { atMost } from "./at-most.ts";
import { filesOf, type IndexFile } from "./index-pages.ts";
import type { LockedPackage } from "./lock-entries.ts";
import { applies } from "./markers.ts";
import { type PackageSources, pagesOf, type TorchBuild } from "./sources.ts";
import { fitOf, markerFacts, type WheelTarget } from "./target.ts";

/** Whose files are looked for, and where. */
export interface Choice {
  readonly target: WheelTarget;
  readonly build: TorchBuild;
  readonly sources: PackageSources;
}

/** The file that a host gets of a package. */
export interface Chosen {
  readonly entry: LockedPackage;
  readonly file: IndexFile;
}

/** So many pages of an index at once. */
const pagesAtOnce = 6;

/** The one file of every package of the lock that belongs on the host, in the lock's order. Throws Fault `wheel-missing`, `index-unreachable`. */
export async function chooseFiles(
  entries: readonly LockedPackage[],
  choice: Choice,
  context: Context,
): Promise<Chosen[]> {
  const facts = markerFacts(choice.target);
  const wanted = new Map(
    entries.filter(({ marker }) => applies(marker, facts)).map((entry) => [`${entry.name}==${entry.version}`, entry]),
  );
  context.progress({ message: `looking up ${wanted.size} packages for the host` });
  return atMost(pagesAtOnce, [...wanted.values()], async (entry) => ({
    entry,
    file: await chooseFile(entry, choice, context.signal),
  }));
}

async function chooseFile(entry: LockedPackage, { target, build, sources }: Choice, signal: AbortSignal) {
  for (const page of pagesOf(entry.name, build, sources)) {
    const best = bestOf(
      (await filesOf(page, signal, sources.pauseMs)).filter((file) => belongs(file, entry)),
      target,
    );
    if (best !== undefined) return best;
  }
  const { name, version } = entry;
  throw new Fault({
    code: "wheel-missing",
    property: "compute.host",
    message: `The index has no file of ${name} ${version} that the lock admits and a host with Python 3.${target.minor}, ${target.machine} and glibc 2.${target.glibc} takes.`,
    next: "If a mirror is set (UV_DEFAULT_INDEX), it may lag behind: use PyPI or another one. Else install Python 3.12 on the host.",
    blame: "infrastructure",
  });
}

/** Is the file the package that is locked: by its hash, or, where an index names none, by its name? */
function belongs({ filename, sha256 }: IndexFile, { name, version, hashes }: LockedPackage): boolean {
  if (hashes.size > 0) return sha256 !== undefined && hashes.has(sha256);
  const [its = "", of = ""] = filename.split("-");
  return its.toLowerCase().replaceAll(/[-_.]+/g, "-") === name && of === version;
}

/** The wheel that fits best; where there is none, the source. */
function bestOf(files: readonly IndexFile[], target: WheelTarget): IndexFile | undefined {
  const fitting = files.flatMap((file) => {
    const fit = fitOf(file.filename, target);
    return fit === undefined ? [] : [{ file, fit }];
  });
  const wheel = fitting.toSorted((a, b) => b.fit - a.fit)[0]?.file;
  return wheel ?? files.find(({ filename }) => /\.(tar\.gz|zip)$/.test(filename));
}
