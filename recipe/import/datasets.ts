import type { DatasetSource } from "../experiment-schema.ts";
import { Fault } from "../fault.ts";
import list from "../llamafactory-datasets.json" with { type: "json" };
import { answeredSource } from "./dataset-answer.ts";
import type { ImportAnswers, ImportLog, ImportWorld } from "./world.ts";

/** An entry of dataset_info.json. */
type Entry = Readonly<Record<string, unknown>>;

const known: Readonly<Record<string, Entry>> = list.datasets;

/** Names that circulate with tutorials and are in no list of LLaMA-Factory's. What is doubtful about them is said. */
const circulating: Readonly<Record<string, { readonly hub: string; readonly source: "modelscope" }>> = {
  hwtcm_deepseek_r1_distill_data: { hub: "huangxp/hwtcm-deepseek-r1-distill-data", source: "modelscope" },
};

/** What a mapping works with. */
interface Mapping {
  readonly answers: ImportAnswers;
  readonly world: ImportWorld;
  readonly log: ImportLog;
  /** dataset_info.json of the user's folder, if there is one. */
  readonly own: { readonly path: string; readonly entries: Readonly<Record<string, Entry>> } | undefined;
}

/** `tuneup:datasets` from `dataset` and `dataset_dir`. What only the user knows becomes questions in `log`. */
export function mapDatasets(
  values: Readonly<Record<string, unknown>>,
  answers: ImportAnswers,
  world: ImportWorld,
  log: ImportLog,
): DatasetSource[] {
  const names = namesOf(values["dataset"]);
  if (names.length === 0) {
    throw new Fault({
      code: "import-dataset",
      property: "dataset",
      message: `must name at least one dataset, got ${JSON.stringify(values["dataset"] ?? null)}.`,
      next: "Add a line such as `dataset: identity`.",
    });
  }
  const mapping = { answers, world, log, own: ownList(values["dataset_dir"], answers, world, log) };
  return joined(names.flatMap((name) => sourceOf(name, mapping) ?? []));
}

/** Names of LLaMA-Factory's `dataset`: a list, or a text with commas. */
function namesOf(dataset: unknown): string[] {
  const parts: unknown[] = Array.isArray(dataset) ? dataset : typeof dataset === "string" ? dataset.split(",") : [];
  return parts.map((part) => String(part).trim()).filter((part) => part !== "");
}

function ownList(given: unknown, answers: ImportAnswers, world: ImportWorld, log: ImportLog): Mapping["own"] {
  const stated = typeof given === "string" ? given : undefined;
  const folder = answers.dataDirectory ?? stated ?? "data";
  const path = `${folder.replace(/\/$/, "")}/dataset_info.json`;
  const text = world.read(path);
  if (text === undefined) {
    if (answers.dataDirectory !== undefined) {
      throw new Fault({
        code: "import-data-directory",
        property: "--data-dir",
        message: `there is no ${path}.`,
        next: "Give the folder `data` of a LLaMA-Factory checkout, or your own with a dataset_info.json.",
      });
    }
    if (stated !== undefined) log.dropped("dataset-dir-absent", { folder: stated });
    return undefined;
  }
  if (stated !== undefined) log.dropped("dataset-dir-named");
  try {
    return { path, entries: JSON.parse(text) as Record<string, Entry> };
  } catch (thrown) {
    throw new Fault({
      code: "import-dataset-info",
      message: `${path} is not JSON: ${(thrown as Error).message}.`,
      next: "Correct it; LLaMA-Factory can't read it either.",
    });
  }
}

function sourceOf(name: string, mapping: Mapping): DatasetSource | undefined {
  const { answers, log, own, world } = mapping;
  const answer = answers.datasets?.[name];
  if (answer !== undefined) return answeredSource(name, answer, world);
  if (name === "identity") return identityOf(answers, log);
  const registered = own?.entries[name];
  if (own !== undefined && registered !== undefined && registered["file_name"] !== undefined) {
    return { datasetInfo: world.place(own.path), names: [name] };
  }
  const entry = registered ?? known[name];
  const hub = entry === undefined ? undefined : hubSource(name, entry, mapping);
  if (hub !== undefined) return hub;
  const found = circulating[name];
  if (found !== undefined) {
    log.warn("dataset-circulating", { name, hub: found.hub });
    return found;
  }
  if (entry?.["file_name"] !== undefined) askForFolder(name, log);
  else askForSource(name, log);
  return undefined;
}

function identityOf({ name, author }: ImportAnswers, log: ImportLog): DatasetSource | undefined {
  const asked = { name, author };
  for (const about of ["name", "author"] as const) {
    if (asked[about] === undefined)
      log.ask({
        about,
        asks: about,
        values: { placeholder: `{{${about}}}` },
        option: `--${about} ${about.toUpperCase()}`,
      });
  }
  return name === undefined || author === undefined ? undefined : { builtin: "identity", name, author };
}

function askForFolder(name: string, log: ImportLog): void {
  log.ask({
    about: "dataDirectory",
    asks: "data-directory",
    values: { name },
    option: "--data-dir DIR",
  });
}

function askForSource(name: string, log: ImportLog): void {
  log.ask({
    about: `dataset:${name}`,
    asks: "dataset",
    values: { name },
    option: `--dataset ${name}=SOURCE`,
  });
}

/** What an entry says about rows goes over as it is. */
const kept = ["formatting", "ranking", "columns", "tags", "subset", "split", "folder", "num_samples"] as const;

function hubSource(name: string, entry: Entry, { answers, log }: Mapping): DatasetSource | undefined {
  const { hf_hub_url: face, ms_hub_url: scope } = entry;
  const hubs = { huggingface: face, modelscope: scope };
  const wanted = answers.hub ?? "hub";
  const same = typeof face === "string" && face === scope;
  const chosen =
    wanted !== "hub" && typeof hubs[wanted] === "string"
      ? wanted
      : typeof face === "string"
        ? "huggingface"
        : "modelscope";
  const hub = hubs[chosen];
  if (typeof hub !== "string") return undefined;
  const columns = entry["columns"] as Record<string, string> | undefined;
  if (columns !== undefined && ["images", "videos", "audios"].some((column) => column in columns)) {
    log.warn("dataset-media", { name });
  }
  const place = same && wanted === "hub" ? {} : { source: chosen };
  const rest = Object.fromEntries(kept.flatMap((key) => (entry[key] === undefined ? [] : [[key, entry[key]]])));
  if (same && wanted === "hub") log.mapped("dataset-either-hub", { name, id: hub });
  else log.mapped("dataset-hub", { name, id: hub, hub: chosen });
  return { hub, ...place, ...rest };
}

/** Neighbours from one dataset_info.json become one entry. */
function joined(sources: readonly DatasetSource[]): DatasetSource[] {
  const result: DatasetSource[] = [];
  for (const source of sources) {
    const last = result.at(-1);
    if (
      last !== undefined &&
      "datasetInfo" in last &&
      "datasetInfo" in source &&
      last.datasetInfo === source.datasetInfo
    ) {
      result[result.length - 1] = { ...last, names: [...last.names, ...source.names] };
    } else result.push(source);
  }
  return result;
}
