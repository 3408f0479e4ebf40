import { matchesGlob } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { dataExtensions, type HubFiles } from "../../recipe/dataset-files.ts";
import { Fault } from "../../recipe/fault.ts";
import type { RemoteFile } from "../../recipe/sources.ts";

const patterns = z.union([z.string(), z.array(z.string())]);
const dataFiles = z.union([patterns, z.array(z.looseObject({ split: z.string(), path: patterns }))]);
const card = z.looseObject({
  configs: z
    .array(
      z.looseObject({
        config_name: z.string(),
        default: z.boolean().optional(),
        data_dir: z.string().optional(),
        data_files: dataFiles.optional(),
      }),
    )
    .optional(),
});

/**
 * The files of a repository that a split (default: train) consists of: by the `configs` in its card, else by the names, where the datasets
 * library looks too. Throws Fault `dataset-files` where there is none.
 */
export function selectFiles(files: readonly RemoteFile[], hub: HubFiles, readme: string): RemoteFile[] {
  const split = hub.split ?? "train";
  const stated = byCard(files, hub, readme, split);
  const candidates = (stated ?? files).filter(({ path }) => isData(path) && within(path, hub.folder));
  const chosen = stated === undefined ? bySplit(candidates, split, hub.subset) : candidates;
  const formats = Map.groupBy(chosen, ({ path }) => formatOf(path));
  const [most] = [...formats.values()].sort((a, b) => b.length - a.length);
  if (most !== undefined) return most.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const there = files.map(({ path }) => path).filter((path) => !path.startsWith("."));
  throw new Fault({
    code: "dataset-files",
    property: "datasets",
    message: `${hub.id} has no ${dataExtensions.join(", ")} file for ${[hub.subset, split, hub.folder].filter((word) => word !== undefined).join(", ")}; it has ${there.slice(0, 12).join(", ")}${there.length > 12 ? ", ..." : ""}.`,
    next: "Say `subset`, `split` or `folder`. Datasets that only a script can read are not fetched: save them as Parquet.",
  });
}

function byCard(files: readonly RemoteFile[], hub: HubFiles, readme: string, split: string): RemoteFile[] | undefined {
  const front = /^---\r?\n(.*?)\r?\n---/s.exec(readme)?.[1];
  const read = front === undefined ? undefined : card.safeParse(tryParse(front));
  const configs = read?.success === true ? (read.data.configs ?? []) : [];
  const config =
    hub.subset === undefined
      ? (configs.find((one) => one.default === true || one.config_name === "default") ??
        (configs.length === 1 ? configs[0] : undefined))
      : configs.find((one) => one.config_name === hub.subset);
  if (config === undefined) return undefined;
  const { data_dir: folder, data_files: stated } = config;
  if (stated === undefined) {
    return folder === undefined
      ? undefined
      : bySplit(
          files.filter(({ path }) => within(path, folder)),
          split,
          undefined,
        );
  }
  const wanted = patternsOf(stated, split).map((pattern) => (folder === undefined ? pattern : `${folder}/${pattern}`));
  return files.filter(({ path }) => wanted.some((pattern) => pattern === path || matchesGlob(path, pattern)));
}

function tryParse(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

function patternsOf(stated: z.infer<typeof dataFiles>, split: string): string[] {
  if (typeof stated === "string") return split === "train" ? [stated] : [];
  return stated.flatMap((one) => {
    if (typeof one === "string") return split === "train" ? [one] : [];
    if (one.split !== split) return [];
    return typeof one.path === "string" ? [one.path] : one.path;
  });
}

const splitWords: Readonly<Record<string, string>> = {
  train: "train|training",
  validation: "validation|valid|dev|val",
  test: "test|testing|eval|evaluation",
};

/** Where names say splits, those of this one; where they say none, everything is train. */
function bySplit(files: readonly RemoteFile[], split: string, subset: string | undefined): RemoteFile[] {
  const here = subset === undefined ? files : files.filter(({ path }) => path.split(/[/.]/).includes(subset));
  const among = here.length > 0 ? here : files;
  const says = (path: string, words: string): boolean => new RegExp(`(^|[^a-z])(${words})([^a-z]|$)`, "i").test(path);
  const words = splitWords[split] ?? split.replace(/[^\w-]/g, "");
  const named = among.filter(({ path }) => says(path, words));
  if (named.length > 0) return named;
  if (split !== "train") return [];
  const others = Object.entries(splitWords).filter(([name]) => name !== split);
  return among.filter(({ path }) => !others.some(([, word]) => says(path, word)));
}

function isData(path: string): boolean {
  if (/(^|\/)(\.|dataset_infos?\.json$|state\.json$|config\.json$|package\.json$)/.test(path)) return false;
  return (dataExtensions as readonly string[]).includes(path.split(".").at(-1)?.toLowerCase() ?? "");
}

/** JSON lines are JSON to LLaMA-Factory's reader. */
function formatOf(path: string): string {
  const ending = path.split(".").at(-1)?.toLowerCase() ?? "";
  return ending === "jsonl" ? "json" : ending;
}

function within(path: string, folder: string | undefined): boolean {
  return folder === undefined || path.startsWith(`${folder.replace(/^\.?\/+|\/+$/g, "")}/`);
}
