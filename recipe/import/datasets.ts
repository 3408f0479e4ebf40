import type { DatasetSource } from "../experiment-schema.ts";
import { Fault } from "../fault.ts";
import list from "../llamafactory-datasets.json" with { type: "json" };
import { answeredSource } from "./dataset-answer.ts";
import type { ImportAnswers, ImportLog, ImportWorld } from "./world.ts";

/** An entry of dataset_info.json. */
type Entry = Readonly<Record<string, unknown>>;

const known: Readonly<Record<string, Entry>> = list.datasets;

/** Names that circulate with tutorials and are in no list of LLaMA-Factory's, with what is doubtful about them. */
const circulating: Readonly<
  Record<string, { readonly source: { hub: string; source: "modelscope" }; readonly doubt: string }>
> = {
  hwtcm_deepseek_r1_distill_data: {
    source: { hub: "huangxp/hwtcm-deepseek-r1-distill-data", source: "modelscope" },
    doubt:
      "Its columns could not be confirmed (instruction, input and output are assumed) nor its licence (others list it as Apache-2.0): `tuneup data` shows the columns, its page on ModelScope says the licence.",
  },
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
    if (stated !== undefined)
      log.dropped(`dataset_dir: ${stated} is not a folder here; tuneup:datasets says where each dataset is.`);
    return undefined;
  }
  if (stated !== undefined) log.dropped(`dataset_dir: its dataset_info.json is named in tuneup:datasets.`);
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
    log.warn(
      `${name} is not in LLaMA-Factory's own list; it is taken to be ${found.source.hub} on ModelScope. ${found.doubt}`,
    );
    return found.source;
  }
  if (entry?.["file_name"] !== undefined) askForFolder(name, log);
  else askForSource(name, log);
  return undefined;
}

function identityOf({ name, author }: ImportAnswers, log: ImportLog): DatasetSource | undefined {
  const asked = { name, author };
  const what = { name: "What shall the assistant be called?", author: "Who made it?" };
  for (const about of ["name", "author"] as const) {
    if (asked[about] === undefined)
      log.ask({
        about,
        ask: `${what[about]} (for {{${about}}} in identity)`,
        option: `--${about} ${about.toUpperCase()}`,
      });
  }
  return name === undefined || author === undefined ? undefined : { builtin: "identity", name, author };
}

function askForFolder(name: string, log: ImportLog): void {
  log.ask({
    about: "dataDirectory",
    ask: `${name} is a demo file of LLaMA-Factory's own, in the folder data of its checkout. Where is that folder?`,
    option: "--data-dir DIR",
  });
}

function askForSource(name: string, log: ImportLog): void {
  log.ask({
    about: `dataset:${name}`,
    ask: `${name} is in no list of datasets. Where is it (a file, org/name on a hub, an address)?`,
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
    log.warn(`${name} holds pictures, video or sound, and tuneup trains text models: \`tuneup check\` refuses it.`);
  }
  const place = same && wanted === "hub" ? {} : { source: chosen };
  const rest = Object.fromEntries(kept.flatMap((key) => (entry[key] === undefined ? [] : [[key, entry[key]]])));
  log.mapped(`dataset ${name}: ${hub} on ${same && wanted === "hub" ? "either hub" : chosen}.`);
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
