import type { Context } from "../../agent/context.ts";
import { fetchFile } from "../../agent/datasets/fetch.ts";
import { sha256OfFile, sizeOf } from "../../agent/files.ts";
import { formatBytes } from "../../agent/folders.ts";
import { Fault } from "../../recipe/fault.ts";
import type { FileDigest } from "../../recipe/lifecycle.ts";
import { atMost } from "./at-most.ts";
import type { Chosen } from "./choose.ts";
import { withoutPassword } from "./index-pages.ts";
import type { PackageSources } from "./sources.ts";

/** So many files at once: one alone does not fill a fast line. */
const filesAtOnce = 4;

/** A package with the file that is here. */
export interface Downloaded extends Chosen {
  readonly digest: FileDigest;
}

/** Downloads the files to `folder`, going on where an earlier try ended; each is checked before it gets its name. */
export async function download(
  chosen: readonly Chosen[],
  folder: string,
  { pauseMs }: Pick<PackageSources, "pauseMs">,
  context: Context,
): Promise<Downloaded[]> {
  const tell = teller(chosen, context);
  return atMost(filesAtOnce, chosen, async ({ entry, file }) => {
    const { filename, sha256, bytes } = file;
    const { url, headers } = withoutPassword(file.url);
    const remote = { path: filename, url, ...(bytes === undefined ? {} : { bytes }) };
    const path = await fetchFile({ ...remote, ...(sha256 === undefined ? {} : { sha256 }) }, folder, {
      ...{ signal: context.signal, headers, onBytes: tell.bytes },
      ...(pauseMs === undefined ? {} : { pauseMs }),
    }).catch((thrown: unknown) => {
      throw ofPackage(thrown);
    });
    tell.file();
    // Without the index's word, what came is what is meant: the way there is TLS.
    const digest = { path: filename, bytes: await sizeOf(path), sha256: sha256 ?? (await sha256OfFile(path)) };
    return { entry, file, digest };
  });
}

/** The download is that of datasets; its faults are told as what they are here. */
function ofPackage(thrown: unknown): unknown {
  if (!(thrown instanceof Fault) || !thrown.code.startsWith("dataset-")) return thrown;
  const isHash = thrown.code === "dataset-hash";
  return new Fault({
    code: isHash ? "package-hash" : "package-unreachable",
    property: "compute.host",
    message: thrown.message,
    next: isHash
      ? "A proxy or a mirror changes it: use another one (UV_DEFAULT_INDEX)."
      : "This machine fetches the packages for the host. Run it again: it goes on where it ended.",
    blame: "infrastructure",
  });
}

function teller(chosen: readonly Chosen[], context: Context) {
  const total = chosen.reduce((sum, { file }) => sum + (file.bytes ?? 0), 0);
  let [files, bytes, told] = [0, 0, 0];
  const tell = (): void => {
    const now = performance.now();
    if (now - told < 250) return;
    told = now;
    const of = total > 0 ? `, ${formatBytes(bytes)} of ${formatBytes(total)}` : "";
    context.progress({ message: `fetching packages for the host: ${files} of ${chosen.length}${of}` });
  };
  return {
    bytes: (count: number) => {
      bytes += count;
      tell();
    },
    file: () => {
      files += 1;
      tell();
    },
  };
}
