/** Names of the tags that say whose a resource is and how long it is to be. */
export const tagNames = {
  project: "tuneup:project",
  stack: "tuneup:stack",
  run: "tuneup:run",
  owner: "tuneup:owner",
  expiry: "tuneup:expiry",
  /** On the machine alone: hours of the lease that its expiry is made from. */
  leaseHours: "tuneup:lease-hours",
  /** On the volume alone: `data`. */
  volume: "tuneup:volume",
  /** On the bucket alone: `runs`. */
  bucket: "tuneup:bucket",
  /** On a group and its machines: the end that its lease had at first, below which one machine finds what the one before left. */
  resume: "tuneup:resume",
  /** AWS's own, on each machine that an Auto Scaling group started: the group's name. */
  group: "aws:autoscaling:groupName",
  /** On one rule of a group, or on a cluster: that it is open on purpose. */
  open: "tuneup:open",
} as const;

/** Value of `tuneup:project` on everything of ours. */
export const projectTag = "tuneup";

/** Values of `tuneup:expiry` that are no time: it goes with `destroy`, and it is kept until someone deletes it. */
export const withStack = "with-the-stack";
export const kept = "kept";

/** Tags by name. */
export type Tags = Readonly<Record<string, string>>;

/** On the rule that lets everyone in to a load balancer: the file said so twice. The policy pack knows it. */
export const openToEveryone: Tags = { [tagNames.open]: "everyone" };

/** On a cluster whose API named addresses reach from outside: the file said so. The policy pack knows it. */
export const openToNamed: Tags = { [tagNames.open]: "named-addresses" };

/** By what the resources of a stack are found. */
export function ownTags(stack: string): Tags {
  return { [tagNames.project]: projectTag, [tagNames.stack]: stack };
}

/** Tags of every resource of a stack. `expiry`: a time in ISO 8601, or what is no time. Without a run or an owner their values are `-`. */
export function tagsFor(
  stack: string,
  { owner = "-", run = "-", expiry = withStack }: { owner?: string | undefined; run?: string; expiry?: string } = {},
): Tags {
  return { ...ownTags(stack), [tagNames.run]: run, [tagNames.owner]: owner, [tagNames.expiry]: expiry };
}
