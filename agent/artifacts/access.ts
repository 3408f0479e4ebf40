import { rm } from "node:fs/promises";
import { type S3Access, s3Access } from "../../recipe/s3-access.ts";
import { readRecord, writeJson } from "../files.ts";
import type { RunPaths } from "../runs/paths.ts";
import { instanceRole } from "../s3/instance-role.ts";

/** Keeps how a run's bucket is reached (0600) for the supervisor that will ask: it lives for hours, and nothing but this reaches it. */
export function keepAccess({ access }: Pick<RunPaths, "access">, given: S3Access): Promise<void> {
  return writeJson(access, given);
}

/** The run has ended: nobody needs it any more. */
export function dropAccess({ access }: Pick<RunPaths, "access">): Promise<void> {
  return rm(access, { force: true });
}

/** How the run's bucket is reached now: by the keys that were kept, which another `up` may have replaced, else by the machine's role. */
export async function currentAccess({ access }: Pick<RunPaths, "access">): Promise<S3Access> {
  const kept = (await readRecord(access, s3Access)) ?? {};
  return kept.accessKeyId === undefined ? { ...kept, ...(await instanceRole()) } : kept;
}
