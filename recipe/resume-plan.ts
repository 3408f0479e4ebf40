import { z } from "zod";
import { fileDigest } from "./lifecycle.ts";

/** Where a machine that may be taken back keeps what the next one goes on by: told to it at its start, in `resume/place.json` of the data directory. */
export const resumePlace = z.object({
  /** s3:// address of a folder, with a slash at its end. */
  address: z.string().regex(/^s3:\/\/[^/]+\/.*\/$/),
  region: z.string(),
});
export type ResumePlace = z.infer<typeof resumePlace>;

/** The file of that in a data directory. */
export function resumePlaceFile(dataDirectory: string): string {
  return `${dataDirectory}/resume/place.json`;
}

/**
 * Address of a stack's folder for that, among the experiment's runs, where its machine may write. `expiry`: the end of the lease, in ISO 8601: what an earlier
 * lease left is not gone on with.
 */
export function resumeAddress(artifacts: string, experiment: string, expiry: string): string {
  return `${artifacts.replace(/\/+$/, "")}/${experiment}/runs/machine/${Date.parse(expiry) / 1000}/`;
}

/** A program in that folder. */
const program = z.object({
  /** Object below the folder. */
  object: z.string(),
  /** Of the program as it runs, unpacked. */
  sha256: z.string(),
});

/** Commands that a machine is told, in the order in which the next one does them again. */
export const replayed = ["environment-ensure", "weights-ensure", "run-declare", "endpoint-declare"] as const;
export type Replayed = (typeof replayed)[number];

/** `plan.json`: what a machine was told, without secrets, and by which programs. Written last: what it names is there. */
export const resumePlan = z.object({
  schemaVersion: z.literal(1),
  agent: program,
  /** Packed by gzip. */
  node: program,
  told: z.array(z.object({ command: z.enum(replayed), input: z.record(z.string(), z.unknown()) })),
  /** Prepared data as it is, since it may have come from the machine of `up`: its folder in the data directory, and its files as objects by their sha256. */
  dataset: z.object({ folder: z.string(), files: z.array(fileDigest) }).optional(),
  /** Variables that the machine was told with, those left out that may hold a password. Default: none. */
  environment: z.record(z.string(), z.string()).optional(),
  /** Why the next machine can't go on by itself, as a clause. Default: it can. */
  cannot: z.string().optional(),
});
export type ResumePlan = z.infer<typeof resumePlan>;
