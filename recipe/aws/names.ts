import { createHash } from "node:crypto";

/** Most characters of what follows `tuneup-` in a name: a role's name has 64 at most, and one of them ends in `-lease`. */
const most = 50;

/**
 * Name of a stack's resources in AWS, `tuneup-<stack>`, where the name has to be unique in an account or network. Two stacks of one name in one
 * account are refused by AWS itself then: their machines could not be told apart by their tags either. A long name is cut and gets a hash.
 */
export function resourceName(stack: string): string {
  // What Pulumi allows in a stack's name and IAM does not.
  const plain = stack.replace(/[^A-Za-z0-9-]/g, "-");
  if (plain === stack && stack.length <= most) return `tuneup-${stack}`;
  const hash = createHash("sha256").update(stack).digest("hex").slice(0, 8);
  return `tuneup-${plain.slice(0, most - hash.length - 1)}-${hash}`;
}

/** IAM's folder for what tuneup makes: whoever runs `up` may be held to it. */
export const identityPath = "/tuneup/";

/** Begins every name of a resource in AWS that is not the region's: regions for governments and in China are worlds of their own. */
export function partitionOf(region: string): "aws" | "aws-us-gov" | "aws-cn" {
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  return region.startsWith("cn-") ? "aws-cn" : "aws";
}
