import { createHash } from "node:crypto";

/** Most characters of what follows `tuneup-`: a role's name has 64 at most, `-lease` is added to one of them and 8 characters to all. */
const most = 40;

/**
 * What the names of a stack's resources in AWS begin with: `tuneup-<stack>`, cut and with a hash where that is long. Pulumi adds characters at random
 * where a name has to be unique: what a killed `up` made without noting it is in nobody's way then.
 */
export function resourceName(stack: string): string {
  return nameOf(stack, most);
}

function nameOf(stack: string, longest: number): string {
  // What Pulumi allows in a stack's name and IAM does not.
  const plain = stack.replace(/[^A-Za-z0-9-]/g, "-");
  if (plain === stack && stack.length <= longest) return `tuneup-${stack}`;
  const hash = createHash("sha256").update(stack).digest("hex").slice(0, 8);
  return `tuneup-${plain.slice(0, longest - hash.length - 1)}-${hash}`;
}

/** Most characters of what follows `tuneup-` in names of load balancers: 32 in all, 8 of them Pulumi's. */
const mostOfBalancers = 17;

/** The same for a load balancer and what belongs to it, whose names are shorter. */
export function balancerName(stack: string): string {
  return nameOf(stack, mostOfBalancers);
}

/** IAM's folder for what tuneup makes: whoever runs `up` may be held to it. */
export const identityPath = "/tuneup/";

/** Begins every name of a resource in AWS that is not the region's: regions for governments and in China are worlds of their own. */
export function partitionOf(region: string): "aws" | "aws-us-gov" | "aws-cn" {
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  return region.startsWith("cn-") ? "aws-cn" : "aws";
}
