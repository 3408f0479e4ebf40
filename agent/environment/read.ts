import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Layout, layoutOf } from "../../recipe/layout.ts";
import { environmentRecord, type EnvironmentRecord } from "../../recipe/lifecycle.ts";
import { readRecord } from "../files.ts";
import { completeFile } from "../folders.ts";
import { findGpus, type FoundGpus } from "./gpus.ts";
import { environmentName } from "./identity.ts";

/**
 * The complete environment of this lock, in the data directory or the Pod's image; null if there is none. `preferred`: the device whose environment is taken if there are two;
 * default: what this host has.
 */
export async function findEnvironment(
  layout: Layout,
  lock: string,
  preferred?: "cpu" | "cuda",
): Promise<{ path: string; record: EnvironmentRecord } | null> {
  const found = [];
  for (const device of ["cuda", "cpu"] as const) {
    const path = `${layout.env}/${environmentName(lock, device)}`;
    const record = await readEnvironment(path);
    const one = record?.lock === lock ? { path, record } : await environmentOfImage(lock, device);
    if (one !== undefined) found.push(one);
  }
  if (found.length < 2) return found[0] ?? null;
  const device = preferred ?? deviceOf(await findGpus());
  return found.find(({ record }) => record.device === device) ?? null;
}

/** The environment that a Pod's image brings (TUNEUP_IMAGE: where), if it is of this lock and for this device. */
export async function environmentOfImage(
  lock: string,
  device: "cpu" | "cuda",
): Promise<{ path: string; record: EnvironmentRecord } | undefined> {
  const image = process.env["TUNEUP_IMAGE"];
  if (image === undefined) return undefined;
  const path = `${layoutOf(image).env}/${environmentName(lock, device)}`;
  const record = await readEnvironment(path);
  return record?.lock === lock ? { path, record } : undefined;
}

/** What this host trains on. A GPU that can't be asked just now is one all the same. */
export function deviceOf({ gpus, trouble }: FoundGpus): "cpu" | "cuda" {
  return gpus.length > 0 || trouble !== undefined ? "cuda" : "cpu";
}

/** The record of the environment at `path`; undefined if it is missing, incomplete or without its Python. */
export async function readEnvironment(path: string): Promise<EnvironmentRecord | undefined> {
  // existsSync follows the link: it is dangling when the Python that the environment was made with is gone.
  return existsSync(join(path, "bin", "python")) ? readRecord(join(path, completeFile), environmentRecord) : undefined;
}
