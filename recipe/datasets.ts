import { canonicalJson, sha256 } from "./canonical.ts";
import { type DatasetInfos, dataExtensions, type HubFiles, stated } from "./dataset-files.ts";
import type { DatasetSource } from "./experiment-schema.ts";
import general from "./embedded/general.json" with { type: "json" };
import identity from "./embedded/identity.json" with { type: "json" };
import { Fault } from "./fault.ts";
import { nearest } from "./nearest.ts";
import type { DatasetEntry } from "./sources.ts";

/** A dataset before its file is read: what is known from the experiment's text alone. */
export interface PlannedDataset {
  /** Name under which LLaMA-Factory knows it, unique in the experiment. */
  readonly name: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly extension: DatasetEntry["extension"];
  /** Place among `tuneup:datasets`. */
  readonly index: number;
  /** Text of a built-in one. */
  readonly inline?: string;
  /** File or folder of the user's, as written in the experiment. */
  readonly path?: string;
  readonly hub?: HubFiles;
  /** One file behind an https or s3 address. */
  readonly url?: { readonly address: string; readonly sha256: string };
}

type Planned = Omit<PlannedDataset, "index">;

/**
 * What each of `tuneup:datasets` becomes in LLaMA-Factory's dataset_info.json, in order. Without `infos` a `datasetInfo` is planned by its
 * names alone. Throws Fault for a name that the file lacks, or an entry that can't be prepared.
 */
export function planDatasets(sources: readonly DatasetSource[], infos: DatasetInfos = new Map()): PlannedDataset[] {
  const taken = new Map<string, number>();
  return sources.flatMap((source, index) => {
    const plans = "datasetInfo" in source ? planRegistered(source, infos) : [planDataset(source)];
    return plans.map((plan) => {
      const count = (taken.get(plan.name) ?? 0) + 1;
      taken.set(plan.name, count);
      return { ...plan, index, name: count === 1 ? plan.name : `${plan.name}_${count}` };
    });
  });
}

function planDataset(source: Exclude<DatasetSource, { datasetInfo: string }>): Planned {
  if ("path" in source) {
    const { path, ...info } = source;
    return { ...namedFile(path), info: stated(info), path };
  }
  if ("url" in source) {
    const { url, sha256: digest, ...info } = source;
    return { ...namedFile(new URL(url).pathname), info: stated(info), url: { address: url, sha256: digest } };
  }
  if ("hub" in source) {
    const { hub: id, source: at = "hub", revision, subset, split, folder, ...info } = source;
    const hub = { id, source: at, revision, subset, split, folder };
    return { name: wordOf(id.split("/").at(-1) ?? id), extension: "json", info: stated(info), hub };
  }
  const rows: readonly unknown[] = source.builtin === "identity" ? identityRows(source.name, source.author) : general;
  return { name: source.builtin, info: {}, extension: "json", inline: `${JSON.stringify(rows, null, 1)}\n` };
}

/** Name and format of a dataset by its file's name. */
function namedFile(path: string): Pick<Planned, "name" | "extension"> {
  const file = path.replace(/\/+$/, "").split("/").at(-1) ?? path;
  const [, stem = file, ending = ""] = /^(.*?)\.([^.]*)$/.exec(file) ?? [];
  return { name: wordOf(stem), extension: dataExtensions.find((known) => known === ending.toLowerCase()) ?? "json" };
}

function wordOf(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]+/g, "_") || "dataset";
}

/** Datasets of an existing dataset_info.json. */
function planRegistered(source: Extract<DatasetSource, { datasetInfo: string }>, infos: DatasetInfos): Planned[] {
  const info = infos.get(source.datasetInfo);
  if (info === undefined) return source.names.map((name) => ({ name: wordOf(name), info: {}, extension: "json" }));
  return source.names.map((name) => {
    const entry = Object.hasOwn(info, name) ? info[name] : undefined;
    if (typeof entry !== "object" || entry === null) throw notRegistered(source.datasetInfo, name, Object.keys(info));
    return planEntry(source.datasetInfo, name, entry as Record<string, unknown>);
  });
}

function planEntry(file: string, name: string, entry: Record<string, unknown>): Planned {
  const { file_name: fileName, hf_hub_url: huggingface, ms_hub_url: modelscope, ...rest } = entry;
  delete rest["om_hub_url"];
  const word = wordOf(name);
  if (typeof fileName === "string") {
    const path = fileName.startsWith("/") ? fileName : `${file.slice(0, file.lastIndexOf("/") + 1)}${fileName}`;
    return { name: word, extension: namedFile(path).extension, info: rest, path };
  }
  const id = huggingface ?? modelscope;
  if (typeof id === "string") {
    const { subset, split, folder, ...info } = rest as Record<string, unknown> & Partial<HubFiles>;
    const source = huggingface === undefined ? "modelscope" : "huggingface";
    return { name: word, extension: "json", info, hub: { id, source, subset, split, folder } };
  }
  throw new Fault({
    code: "dataset-info",
    message: `${file}: ${name} has neither file_name nor hf_hub_url nor ms_hub_url; scripts and cloud files are not fetched.`,
    next: "Name its file with `path`, or its address with `url` and sha256.",
  });
}

function notRegistered(file: string, name: string, names: readonly string[]): Fault {
  const close = nearest(name, names);
  return new Fault({
    code: "dataset-unregistered",
    message: `${file} has no dataset ${JSON.stringify(name)}; it has ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", ..." : ""}.`,
    ...(close.length > 0 ? { next: `Did you mean ${close.join(" or ")}?` } : {}),
  });
}

function identityRows(name: string, author: string): unknown[] {
  const fill = (text: string): string => text.replaceAll("{{name}}", () => name).replaceAll("{{author}}", () => author);
  return identity.map((row) => ({ ...row, instruction: fill(row.instruction), output: fill(row.output) }));
}

/** Digest of a list of datasets: names, dataset_info entries and bytes. Names the dataset folder and enters the run's identity. */
export function datasetsDigest(
  entries: readonly Pick<DatasetEntry, "name" | "info" | "sha256" | "extension">[],
): string {
  return sha256(
    canonicalJson(entries.map(({ name, info, sha256: digest, extension }) => ({ name, info, digest, extension }))),
  );
}
