import { dataFilesAt } from "../../agent/datasets/locate.ts";
import { inspectDatasetFile, type InspectedDataset } from "../../agent/datasets/check.ts";
import { sentenceOf } from "../../agent/datasets/problems.ts";
import { RowChecker, type RowListener } from "../../agent/datasets/rows.ts";
import type { Row } from "../../agent/datasets/shape.ts";
import { type Shape, shapeOf } from "../../agent/datasets/shape.ts";
import {
  LengthCounts,
  mixedRows,
  type Packing,
  packingOf,
  type Schedule,
  scheduleOf,
  type Steps,
  stepsOf,
} from "../../recipe/dataset-statistics.ts";
import { chatTemplateOf } from "../../recipe/dataset-templates.ts";
import type { PlannedDataset } from "../../recipe/datasets.ts";
import { datasetStageFault } from "../../recipe/dataset-stage.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { asFault, type FaultFacts } from "../../recipe/fault.ts";
import type { Pins } from "../../recipe/pins.ts";
import { addressOf } from "../../recipe/redact.ts";
import { firstLook } from "./first-look.ts";
import { rowReaders } from "./row-readers.ts";
import { RowTokens } from "./row-tokens.ts";
import { fetchedAt, planEach } from "./sources.ts";
import type { TokenCounter } from "./token-counter.ts";

/** What was found in one dataset. */
export interface DatasetReport {
  readonly name: string;
  /** Key in the stack file, such as `datasets.1`. */
  readonly property: string;
  /** For people: built-in, a path, a hub's id, an address. */
  readonly source: string;
  /** False: its bytes are not on this machine yet. */
  readonly here: boolean;
  readonly rows: number;
  readonly duplicates: number;
  readonly duplicatesAt: readonly string[];
  readonly duplicatesComplete: boolean;
  /** Each kind of fault in a sentence, with the first rows that have it. */
  readonly problems: readonly FaultFacts[];
}

/** Lengths of rows in the template, with what follows from them. */
export interface TokenReport {
  readonly lengths: LengthCounts;
  readonly cutoff: number;
  readonly truncated: number;
  /** Tokens of one epoch, cut at the cutoff, without the rows that evaluate. */
  readonly perEpoch: number;
  readonly packing: Packing;
  /** Steps with `packing: true` and all else the same. */
  readonly packedSteps: Steps;
  readonly by: TokenCounter["by"];
  /** Rows that were counted; fewer than all where a limit was given. */
  readonly rows: number;
}

/** What is known of an experiment's data. */
export interface DataReport {
  readonly datasets: readonly DatasetReport[];
  /** Rows of the mix, before some are held back to evaluate; undefined while a dataset is not here. */
  readonly rows: number | undefined;
  readonly steps: Steps | undefined;
  readonly schedule: Schedule;
  readonly tokens: TokenReport | undefined;
  /** The first row that is well formed, for a rendered sample; it may be private. */
  readonly sample?: { readonly info: PlannedDataset["info"]; readonly row: Row };
  /** Why there are no tokens. */
  readonly tokensLack?: string;
}

/** What a report is made with. */
export interface ReportOptions {
  /** The data directory: fetched datasets lie there. */
  readonly home: string;
  readonly pins: Pins;
  readonly gpus?: number;
  /** The model's tokenizer; undefined while it is not here. */
  readonly counter?: TokenCounter | undefined;
  /** Count the tokens of at most so many rows of each dataset. Default: all. */
  readonly tokenRows?: number;
}

/** Default of LLaMA-Factory's cutoff_len. */
const defaultCutoff = 2048;

/** Reads every dataset of the experiment that is on this machine, row by row. Faults of the data are in the report, not thrown. */
export async function dataReport(experiment: Experiment, options: ReportOptions): Promise<DataReport> {
  const train: Readonly<Record<string, unknown>> = experiment.train;
  const lengths = new LengthCounts();
  const schedule = scheduleOf(train, options.gpus ?? 1);
  const { plans, faults } = await planEach(experiment.datasets);
  const datasets: DatasetReport[] = [];
  const seen: Work["seen"] = {};
  for (const plan of plans) {
    const found = await reportOne(plan, { experiment, options, schedule, lengths, seen });
    const unfit = datasetStageFault(plan.name, plan.info, train["stage"]);
    datasets.push(unfit === undefined ? found : { ...found, problems: [unfit, ...found.problems] });
  }
  const sizes = datasets.map(({ rows }, index) => sampled(rows, plans[index]?.info ?? {}, schedule));
  for (const [index, fault] of faults) datasets.push(unplanned(index, fault, experiment));
  const rows = datasets.every(({ here }) => here) && faults.size === 0 ? mixedRows(sizes, schedule) : undefined;
  const steps = rows === undefined ? undefined : stepsOf(rows, schedule);
  const sample = seen.sample === undefined ? {} : { sample: seen.sample };
  const base = { datasets, rows, steps, schedule, ...sample };
  if (options.counter === undefined) {
    return { ...base, tokens: undefined, tokensLack: "the model's tokenizer is not on this machine yet" };
  }
  if (lengths.rows === 0) return { ...base, tokens: undefined, tokensLack: "no rows are here to count" };
  const cutoff = Number(train["cutoff_len"] ?? defaultCutoff);
  return { ...base, tokens: tokensOf({ lengths, cutoff, rows, steps, schedule, by: options.counter.by }) };
}

const nothing = { rows: 0, duplicates: 0, duplicatesAt: [], duplicatesComplete: true };

/** A dataset whose dataset_info.json can't be read, or has no such name. */
function unplanned(index: number, fault: FaultFacts, { datasets }: Experiment): DatasetReport {
  const source = datasets[index];
  const file = source !== undefined && "datasetInfo" in source ? source.datasetInfo : "";
  const name = source !== undefined && "names" in source ? source.names.join(", ") : file;
  return {
    ...{ name, source: file, property: `datasets.${index}.datasetInfo` },
    ...{ ...nothing, here: true, problems: [fault] },
  };
}

/** Rows of one dataset that enter the mix. */
function sampled(rows: number, info: Readonly<Record<string, unknown>>, { maxSamples }: Schedule): number {
  const wanted = typeof info["num_samples"] === "number" ? info["num_samples"] : rows;
  return Math.min(wanted, maxSamples ?? Infinity);
}

function tokensOf(facts: {
  readonly lengths: LengthCounts;
  readonly cutoff: number;
  readonly rows: number | undefined;
  readonly steps: Steps | undefined;
  readonly schedule: Schedule;
  readonly by: TokenCounter["by"];
}): TokenReport {
  const { lengths, cutoff, schedule, steps } = facts;
  const { truncated, tokens } = lengths.cutAt(cutoff);
  const trained = steps?.trainRows ?? lengths.rows;
  const packing = packingOf(lengths, cutoff);
  const packed = Math.ceil((packing.sequences * trained) / lengths.rows);
  return {
    lengths,
    cutoff,
    truncated,
    perEpoch: Math.round((tokens * trained) / lengths.rows),
    packing,
    packedSteps: stepsOf(packed, { ...schedule, valSize: 0 }),
    by: facts.by,
    rows: lengths.rows,
  };
}

interface Work {
  readonly experiment: Experiment;
  readonly options: ReportOptions;
  readonly schedule: Schedule;
  readonly lengths: LengthCounts;
  readonly seen: { sample?: NonNullable<DataReport["sample"]> };
}

async function reportOne(plan: PlannedDataset, work: Work): Promise<DatasetReport> {
  const base = { name: plan.name, property: `datasets.${plan.index}`, source: describe(plan) };
  try {
    const plainText = (work.experiment.train as Record<string, unknown>)["stage"] === "pt";
    const shape = shapeOf(plan.info, { plainText });
    const count = listener(shape, work);
    const onRow: RowListener = (row, where) => {
      work.seen.sample ??= { info: plan.info, row };
      count?.(row, where);
    };
    const read = { plainText, columnar: rowReaders, onRow };
    const inspected: (InspectedDataset & { readonly file: string })[] = [];
    if (plan.inline !== undefined) inspected.push(inspectInline(plan, shape, onRow));
    const files = plan.inline === undefined ? await filesOf(plan, work.options) : [];
    if (files === undefined) return { ...base, ...nothing, here: false, problems: [] };
    for (const file of files) {
      await firstLook(file, plan.info);
      inspected.push({ file, ...(await inspectDatasetFile(file, plan.info, read)) });
    }
    const sum = (of: (one: InspectedDataset) => number): number => inspected.reduce((all, one) => all + of(one), 0);
    const problems = inspected.flatMap(({ file, problems: found }) =>
      found.map((one) => ({
        code: one.code,
        message: `${file}: ${sentenceOf(one)}`,
        ...(one.next === undefined ? {} : { next: one.next }),
      })),
    );
    return {
      ...base,
      here: true,
      rows: sum(({ rows }) => rows),
      duplicates: sum(({ duplicates }) => duplicates),
      duplicatesAt: inspected.flatMap((one) => one.duplicatesAt).slice(0, 3),
      duplicatesComplete: inspected.every((one) => one.duplicatesComplete),
      problems,
    };
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.blame === "bug") throw thrown;
    return { ...base, ...nothing, here: true, problems: [fault.toFacts()] };
  }
}

/** Counts the rows that train: the first `max_samples`. */
function listener(shape: Shape, { experiment, options, schedule, lengths }: Work): RowListener | undefined {
  if (options.counter === undefined) return undefined;
  const train = experiment.train as Readonly<Record<string, unknown>>;
  const template = train["stage"] === "pt" ? undefined : chatTemplateOf(String(train["template"]));
  if (template === undefined && train["stage"] !== "pt") return undefined;
  const tokens = new RowTokens(options.counter, shape, template, {
    defaultSystem: typeof train["default_system"] === "string" ? train["default_system"] : undefined,
    enableThinking: typeof train["enable_thinking"] === "boolean" ? train["enable_thinking"] : undefined,
  });
  let left = Math.min(schedule.maxSamples ?? Infinity, options.tokenRows ?? Infinity);
  return (row) => {
    if (left <= 0) return;
    left -= 1;
    const length = tokens.count(row);
    if (length !== undefined) lengths.add(length);
  };
}

function inspectInline(
  { name, inline = "[]" }: PlannedDataset,
  shape: Shape,
  onRow: RowListener,
): InspectedDataset & { readonly file: string } {
  const checker = new RowChecker(name, shape, onRow);
  for (const [index, row] of (JSON.parse(inline) as unknown[]).entries()) checker.add(row, `row ${index + 1}`);
  checker.finish();
  const { count, first, complete } = checker.duplicates;
  const found = { duplicates: count, duplicatesAt: first, duplicatesComplete: complete };
  return { file: name, rows: checker.rows, sha256: "", problems: checker.problems.all, ...found };
}

/** The files on this machine; undefined for what is not fetched yet. */
async function filesOf(plan: PlannedDataset, { home, pins }: ReportOptions): Promise<readonly string[] | undefined> {
  const folder = fetchedAt(plan, pins, home);
  if (plan.hub === undefined && plan.url === undefined) {
    return (await dataFilesAt(plan.path ?? "")).map(({ file }) => file);
  }
  if (folder === undefined) return undefined;
  try {
    return (await dataFilesAt(folder)).map(({ file }) => file).filter((file) => file !== folder);
  } catch {
    return undefined;
  }
}

function describe({ inline, path, hub, url, name }: PlannedDataset): string {
  if (inline !== undefined) return `built-in ${name}`;
  if (hub !== undefined) return `${hub.id} (${hub.source})`;
  return url === undefined ? (path ?? "") : addressOf(url.address);
}
