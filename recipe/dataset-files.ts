import { canonicalJson, sha256 } from "./canonical.ts";

/** Files of a dataset repository on a hub. */
export interface HubFiles {
  readonly id: string;
  readonly source: "hub" | "huggingface" | "modelscope";
  readonly revision?: string | undefined;
  readonly subset?: string | undefined;
  readonly split?: string | undefined;
  readonly folder?: string | undefined;
}

/** The texts of existing dataset_info.json files, parsed, by their path. */
export type DatasetInfos = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/** Formats that are read and checked. */
export const dataExtensions = ["json", "jsonl", "csv", "parquet", "arrow"] as const;

/** Digest of what a pinned hub dataset is: its bytes are those of the revision. */
export function hubDigest({ id, subset, split, folder }: HubFiles, pin: { source: string; revision: string }): string {
  const { source, revision } = pin;
  return sha256(canonicalJson(stated({ id, source, revision, subset, split, folder })));
}

/** Folder of fetched files in the data directory's cache, by the digest of the dataset. */
export function fetchedFolder(dataDirectory: string, digest: string): string {
  return `${dataDirectory}/cache/datasets/fetched-${digest.slice(0, 24)}`;
}

/** Digest of several files that are one dataset. */
export function filesDigest(files: readonly { readonly path: string; readonly sha256: string }[]): string {
  return sha256(canonicalJson(files.map(({ path, sha256: digest }) => ({ path, digest }))));
}

/** The keys that are said. */
export function stated(info: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).filter(([, value]) => value !== undefined));
}
