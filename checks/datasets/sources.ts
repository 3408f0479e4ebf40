import { readDatasetInfos } from "../../agent/datasets/locate.ts";
import { fetchedFolder, type HubFiles, hubDigest } from "../../recipe/dataset-files.ts";
import { type PlannedDataset, planDatasets } from "../../recipe/datasets.ts";
import type { DatasetSource } from "../../recipe/experiment-schema.ts";
import { asFault, type FaultFacts } from "../../recipe/fault.ts";
import { type Asked, datasetPin, type Found, type Pins } from "../../recipe/pins.ts";
import type { RemoteFile } from "../../recipe/sources.ts";
import { remoteOf } from "./address.ts";
import { type HubOptions, resolveHubDataset } from "./hub.ts";

/** The plans of an experiment's datasets, with those of dataset_info.json files that it names. Throws Fault. */
export async function planAll(sources: readonly DatasetSource[]): Promise<PlannedDataset[]> {
  const files = sources.flatMap((source) => ("datasetInfo" in source ? [source.datasetInfo] : []));
  return planDatasets(sources, await readDatasetInfos(files));
}

/** The plans of the datasets that can be planned, and by its place in the experiment what is wrong with each other one. */
export async function planEach(
  sources: readonly DatasetSource[],
): Promise<{ readonly plans: readonly PlannedDataset[]; readonly faults: ReadonlyMap<number, FaultFacts> }> {
  const faults = new Map<number, FaultFacts>();
  const kept: [place: number, source: DatasetSource][] = [];
  for (const [index, source] of sources.entries()) {
    try {
      await planAll([source]);
      kept.push([index, source]);
    } catch (thrown) {
      const fault = asFault(thrown);
      if (fault.blame === "bug") throw thrown;
      faults.set(index, fault.toFacts());
    }
  }
  const plans = await planAll(kept.map(([, source]) => source));
  return { plans: plans.map((plan) => ({ ...plan, index: kept[plan.index]?.[0] ?? plan.index })), faults };
}

/** The words that a hub dataset's pin holds for. */
export function askedOf({ id, source, revision }: HubFiles): Asked {
  return { id, source, revision };
}

/** What a hub dataset is pinned to: by the lock file, or by a stack file that names hub and commit. */
function pinnedTo(hub: HubFiles, pins: Pins): Found | undefined {
  const exact = hub.source !== "hub" && /^([0-9a-f]{40}|files-[0-9a-f]{40}(@.+)?)$/.test(hub.revision ?? "");
  return datasetPin(pins, askedOf(hub)) ?? (exact ? { source: hub.source, revision: hub.revision ?? "" } : undefined);
}

/** Asked once a process: all resources of an update must mean the same revision. */
const asked = new Map<string, Promise<Found>>();

/** The pin, or what the hub says now. */
export function foundFor(hub: HubFiles, pins: Pins, options: HubOptions): Promise<Found> {
  const pin = pinnedTo(hub, pins);
  if (pin !== undefined) return Promise.resolve(pin);
  const key = JSON.stringify(hub);
  const known = asked.get(key) ?? resolveHubDataset(hub, options);
  asked.set(key, known);
  known.catch(() => asked.delete(key));
  return known;
}

/** The files to fetch of a dataset that is not on this machine, and its digest; undefined for every other. Asks the hub. */
export async function remoteFiles(
  plan: PlannedDataset,
  pins: Pins,
  options: HubOptions,
): Promise<{ readonly sha256: string; readonly remote: readonly RemoteFile[] } | undefined> {
  const { hub, url } = plan;
  if (url !== undefined) return { sha256: url.sha256, remote: [await remoteOf(url, options.environment)] };
  if (hub === undefined) return undefined;
  const { source, revision } = await foundFor(hub, pins, options);
  const exact = { ...hub, source: source as HubFiles["source"], revision };
  const { files } = await resolveHubDataset(exact, options);
  return { sha256: hubDigest(hub, { source, revision }), remote: files };
}

/** Folder where the files of a pinned dataset lie once they are fetched; undefined where that can't be known yet. */
export function fetchedAt({ hub, url }: PlannedDataset, pins: Pins, home: string): string | undefined {
  if (url !== undefined) return fetchedFolder(home, url.sha256);
  const pin = hub === undefined ? undefined : pinnedTo(hub, pins);
  return hub === undefined || pin === undefined ? undefined : fetchedFolder(home, hubDigest(hub, pin));
}
