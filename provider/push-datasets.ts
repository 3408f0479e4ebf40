import { basename } from "node:path";
import { fetchEntry } from "../agent/datasets/place.ts";
import { digestsBelow } from "../agent/files.ts";
import { fetchedFolder } from "../recipe/dataset-files.ts";
import type { PlannedDataset } from "../recipe/datasets.ts";
import { homeOf } from "../recipe/home.ts";
import type { DatasetEntry } from "../recipe/sources.ts";
import type { Hub } from "./egress.ts";
import type { Work } from "./kind.ts";

/** What a host must reach to fetch this dataset by itself; none named: whatever the address is. */
export function hubsOf({ hub }: PlannedDataset): readonly Hub[] {
  if (hub === undefined) return [];
  return hub.source === "hub" ? ["huggingface", "modelscope"] : [hub.source];
}

/**
 * Fetches the files of a dataset to this machine and puts them where the host's agent keeps what it fetched itself: it then finds them there,
 * and asks nobody. Both sides go on where an earlier try ended.
 */
export async function pushFetched(
  entry: Pick<DatasetEntry, "name" | "remote" | "sha256">,
  token: string | undefined,
  { host, options }: Work,
): Promise<void> {
  const dataDirectory = homeOf(process.env);
  const context = {
    progress: options.onProgress ?? (() => undefined),
    log: options.onLog ?? (() => undefined),
    data: () => undefined,
    signal: options.signal ?? new AbortController().signal,
  };
  options.onLog?.(
    "info",
    `${host.description} does not reach the source of ${entry.name}: it is fetched here and sent.`,
  );
  const fetched = await fetchEntry(entry, { dataDirectory, hubToken: token, context });
  const names = new Set(fetched.map(({ file }) => basename(file)));
  const here = fetchedFolder(dataDirectory, entry.sha256);
  const files = await digestsBelow(here, (path) => names.has(path));
  await host.push({ here, there: fetchedFolder(host.dataDirectory, entry.sha256), files }, options);
}
