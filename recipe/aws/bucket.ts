import { createHash } from "node:crypto";
import { partitionOf } from "./names.ts";

/** Most characters of a stack's name in that of its bucket, which has 63 at most. */
const most = 40;

/** Whose bucket it is, and where. */
export interface BucketPlace {
  readonly stack: string;
  /** Twelve digits. */
  readonly account: string;
  readonly region: string;
}

/**
 * Name of the bucket of a stack's own: the same at every `up`, so that a preview knows it too. Names of buckets are one world for all accounts,
 * so the account and the region are in its hash.
 */
export function bucketName({ stack, account, region }: BucketPlace): string {
  const plain = stack
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, "-")
    .slice(0, most)
    .replace(/-+$/, "");
  const hash = createHash("sha256").update(`${account} ${region} ${stack}`).digest("hex").slice(0, 12);
  return `tuneup-${plain}-${hash}`;
}

/** ARN of a bucket. */
export function bucketArn(name: string, region: string): string {
  return `arn:${partitionOf(region)}:s3:::${name}`;
}

/** Name of the bucket that an ARN names; undefined for an ARN of anything else. */
export function bucketIn(arn: string): string | undefined {
  return /^arn:aws[a-z-]*:s3:::([a-z0-9.-]+)$/.exec(arn)?.[1];
}

/** Days after which what was overwritten or deleted in it is gone for good. */
export const oldVersionDays = 7;

/** Days after which the parts of an upload that was cut off are deleted. */
export const cutUploadDays = 2;
