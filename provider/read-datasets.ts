import { checkDatasetFile } from "../agent/datasets/check.ts";
import { dataFilesAt } from "../agent/datasets/locate.ts";
import { firstLook } from "../checks/datasets/first-look.ts";
import { rowReaders } from "../checks/datasets/row-readers.ts";
import { askedOf, foundFor, planAll } from "../checks/datasets/sources.ts";
import { sha256 } from "../recipe/canonical.ts";
import { filesDigest, hubDigest } from "../recipe/dataset-files.ts";
import { datasetsDigest, type PlannedDataset } from "../recipe/datasets.ts";
import type { DatasetSource } from "../recipe/experiment-schema.ts";
import { asFault } from "../recipe/fault.ts";
import { homeOf } from "../recipe/home.ts";
import type { Asked, Found, Pins } from "../recipe/pins.ts";
import type { DatasetEntry } from "../recipe/sources.ts";
import type { CheckFailure } from "./kind.ts";
import { loadPins } from "./pins.ts";

/** What is known of a dataset without its bytes; `files` of a folder. */
export type ReadEntry = Omit<DatasetEntry, "inline" | "file" | "remote" | "plainText">;

/** The datasets as read from this machine, without their bytes. */
export interface ReadDatasets {
  readonly plans: readonly PlannedDataset[];
  readonly entries: readonly ReadEntry[];
  readonly digest: string;
  /** What the user declared: built-in ones as named, all others by their bytes or revision. A release that edits a built-in one does not change it. */
  readonly declared: readonly unknown[];
  readonly failures: readonly CheckFailure[];
  /** What the hub datasets are, to be pinned. */
  readonly found: readonly { readonly words: Asked; readonly found: Found }[];
  readonly pins: Pins;
}

/** How to read. */
export interface ReadDatasetsOptions {
  /** Path of the lock file where hub revisions are pinned. */
  readonly pins?: string | undefined;
  readonly hubToken?: string | undefined;
  /** The stage decides whether rows may be nothing but text. Default: they may. */
  readonly stage?: unknown;
}

/**
 * Reads and checks every dataset of an experiment: rows parse, columns are there. The digest of a large file is cached
 * by path, size, mtime and inode, so that a preview without a change reads no data. What is on a hub or behind an address is known by
 * its revision or sha256; a hub is asked only where nothing is pinned yet.
 */
export async function readDatasets(
  sources: readonly DatasetSource[],
  options: ReadDatasetsOptions = {},
): Promise<ReadDatasets> {
  const failures: CheckFailure[] = [];
  const found: { words: Asked; found: Found }[] = [];
  const pins = await loadPins(options.pins);
  const fail = (thrown: unknown, index?: number): void => {
    const fault = asFault(thrown);
    if (fault.blame === "bug") throw thrown;
    const key = index === undefined ? undefined : Object.keys(sources[index] ?? {}).find((one) => places.has(one));
    const place = index === undefined ? "datasets" : `datasets.${index}${key === undefined ? "" : `.${key}`}`;
    failures.push({ property: place, reason: fault.reason });
  };
  const plans = await planAll(sources).catch((thrown: unknown) => {
    fail(thrown);
    return [];
  });
  const plainText = options.stage === undefined || options.stage === "pt";
  const entries = await Promise.all(
    plans.map(async (plan): Promise<ReadEntry> => {
      const { name, info, extension } = plan;
      const entry = { name, info, extension };
      try {
        if (plan.hub !== undefined) {
          const signal = new AbortController().signal;
          const access = { environment: process.env, token: options.hubToken, signal };
          const pin = await foundFor(plan.hub, pins, access);
          found.push({ words: askedOf(plan.hub), found: { source: pin.source, revision: pin.revision } });
          return { ...entry, sha256: hubDigest(plan.hub, pin) };
        }
        return { ...entry, ...(await bytesOf(plan, plainText)) };
      } catch (thrown) {
        fail(thrown, plan.index);
        return { ...entry, sha256: "" };
      }
    }),
  );
  const declared = entries.map(({ name, info, extension, sha256: digest }, index) => {
    const plan = plans[index];
    return plan?.inline === undefined ? { name, info, extension, sha256: digest } : sources[plan.index];
  });
  return { plans, entries, digest: datasetsDigest(entries), declared, failures, found, pins };
}

const places = new Set(["path", "hub", "url", "datasetInfo", "builtin"]);

async function bytesOf(plan: PlannedDataset, plainText: boolean): Promise<Pick<ReadEntry, "sha256" | "files">> {
  const { inline, url, path = "", info } = plan;
  if (inline !== undefined) return { sha256: sha256(inline) };
  if (url !== undefined) return { sha256: url.sha256 };
  const cache = `${homeOf(process.env)}/cache/datasets`;
  const read = { plainText, columnar: rowReaders };
  const located = await dataFilesAt(path);
  const [first] = located;
  for (const { file } of located) await firstLook(file, info);
  if (located.length === 1 && first?.file === path) {
    return { sha256: (await checkDatasetFile(path, info, cache, read)).sha256 };
  }
  const files = [];
  for (const { path: name, file } of located) {
    files.push({ path: name, file, sha256: (await checkDatasetFile(file, info, cache, read)).sha256 });
  }
  return { sha256: filesDigest(files), files };
}
