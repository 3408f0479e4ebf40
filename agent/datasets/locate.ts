import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type DatasetInfos, dataExtensions } from "../../recipe/dataset-files.ts";
import { datasetFault } from "./problems.ts";

/** One file of a dataset on this machine; `path` is relative to its folder. */
export interface DataFile {
  readonly path: string;
  readonly file: string;
}

/**
 * The files that `path` stands for: itself, or the data files in the folder, sorted. As LLaMA-Factory reads a folder: not below it, and
 * all of one format. Throws Fault.
 */
export async function dataFilesAt(path: string): Promise<readonly DataFile[]> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory() !== true) return [{ path: path.split("/").at(-1) ?? path, file: path }];
  const names = (await readdir(path, { withFileTypes: true })).filter((entry) => !entry.isDirectory());
  return dataFilesAmong(
    path,
    names.map(({ name }) => name),
  ).map((name) => ({ path: name, file: join(path, name) }));
}

/** What the datasets library's save_to_disk writes beside its Arrow files. */
const besideArrow = ["dataset_info.json", "state.json"];

/** The names that end like data, sorted; other files (a README) are left out. Throws Fault where there is none or more than one format. */
function dataFilesAmong(place: string, names: readonly string[]): string[] {
  const saved = names.includes("state.json") && names.some((name) => /\.arrow$/i.test(name));
  const formats = new Set<string>();
  const found = names.filter((name) => {
    const ending = name.split(".").at(-1)?.toLowerCase() ?? "";
    if (!(dataExtensions as readonly string[]).includes(ending)) return false;
    if (saved && besideArrow.includes(name)) return false;
    // LLaMA-Factory reads both as JSON.
    formats.add(ending === "jsonl" ? "json" : ending);
    return true;
  });
  if (formats.size > 1) {
    const what = `its files are of more than one format: ${[...formats].join(", ")}.`;
    throw datasetFault(
      "dataset-format",
      place,
      what,
      "LLaMA-Factory reads one format a dataset: list them one by one.",
    );
  }
  if (found.length > 0) return found.sort();
  throw datasetFault("dataset-empty", place, `it has no ${dataExtensions.join(", ")} file.`);
}

/** Reads the dataset_info.json files that an experiment names. Throws Fault `dataset-info`. */
export async function readDatasetInfos(paths: readonly string[]): Promise<DatasetInfos> {
  const infos = new Map<string, Readonly<Record<string, unknown>>>();
  for (const path of paths) {
    let value: unknown;
    try {
      value = JSON.parse(await readFile(path, "utf8"));
    } catch (thrown) {
      const { code, message } = thrown as NodeJS.ErrnoException;
      throw datasetFault(
        "dataset-info",
        path,
        `it can't be read (${code ?? message}).`,
        code === "ENOENT" ? "Correct the path, or put the file there." : undefined,
      );
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw datasetFault("dataset-info", path, "it must be a map of datasets, as LLaMA-Factory's own is.");
    }
    infos.set(path, value as Record<string, unknown>);
  }
  return infos;
}
