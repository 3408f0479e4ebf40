import { isIPv6 } from "node:net";
import { z } from "zod";
import { type AwsConfig, aws, cidr, isWorldOpen, lease } from "../aws/config.ts";
import { decimal, whole } from "../config-scalars.ts";
import { clusterVersions, isSupported, usualVersion, versionSource } from "./versions.ts";

const names = clusterVersions.map(({ name }) => name);

const version = z
  .preprocess(
    (value) => (typeof value === "number" ? String(value) : value),
    z.string().meta({ type: ["string", "number"] }),
  )
  .refine(isSupported, {
    error: `must be a version of Kubernetes that EKS supports: ${names.join(", ")} or newer (as of ${versionSource.date})`,
  });

const shape = aws.shape;

const settings = z.strictObject({
  region: shape.region,
  name: z
    .string()
    .regex(/^[0-9A-Za-z][\w-]{0,99}$/, { error: "must be the name of an EKS cluster" })
    .optional()
    .describe("A cluster that is there already: nothing of AWS is made or changed then. Default: one is made."),
  zone: shape.zone.describe(
    "Availability zone of nodes and volume: a volume can't leave it. Default: the region's zone a.",
  ),
  version: version.default(usualVersion).describe("Version of Kubernetes of a cluster that is made."),
  endpoint: z
    .enum(["private", "public"])
    .default("private")
    .describe(
      "Who reaches the cluster's API. private: its VPC and what is connected with it; public: the addresses of allowedCidrs as well.",
    ),
  allowedCidrs: z
    .array(cidr)
    .min(1)
    .optional()
    .describe(
      "Blocks of IPv4 addresses that reach the API, never the open internet. Required for a cluster that is made.",
    ),
  vpc: z
    .string()
    .regex(/^(own|vpc-[0-9a-f]{8,17})$/, { error: "must be own, or the id of a VPC such as vpc-0a1b2c3d" })
    .default("own")
    .describe(
      "own: one with private subnets and a NAT gateway; or the id of one that has private subnets in two zones.",
    ),
  instanceTypes: shape.instanceTypes,
  gpuMemoryGiB: z
    .union([z.literal("auto"), decimal(z.number().positive())])
    .default("auto")
    .describe("Least memory of one card. auto: what the estimate says."),
  diskSizeGiB: whole(z.int().min(40).max(16_384))
    .default(100)
    .describe("Encrypted root disk of a node: its images and logs. Data is on the volume of `kubernetes.volume.size`."),
  lease: lease.prefault({}).describe("When the nodes end whatever happens; the control plane stays until `down`."),
  owner: shape.owner,
});

/** `tuneup:eks`: the cluster of the target eks. What runs there is said by `tuneup:kubernetes`. */
export const eks = settings
  .refine(({ region, zone }) => zone === undefined || zone.slice(0, -1) === region, {
    path: ["zone"],
    error: "must be a zone of eks.region",
  })
  .refine(({ name, allowedCidrs }) => name !== undefined || allowedCidrs !== undefined, {
    path: ["allowedCidrs"],
    error: "must say which addresses reach the API of the cluster that is made, such as [203.0.113.7/32]",
  })
  .refine(({ allowedCidrs = [] }) => !allowedCidrs.some(isWorldOpen), {
    path: ["allowedCidrs"],
    error: "must not be the open internet",
  })
  .refine(({ allowedCidrs = [] }) => !allowedCidrs.some((block) => isIPv6(block.split("/")[0] ?? "")), {
    path: ["allowedCidrs"],
    error: "must be blocks of IPv4",
  });

/** What `tuneup:eks` says, its defaults filled in. */
export type EksConfig = z.output<typeof eks>;

/** The same as for the target aws, as far as it decides machine and price: a node is such a machine, without a network of its own. */
export function nodeAsMachine({ region, zone, instanceTypes, gpuMemoryGiB, lease: until }: EksConfig): AwsConfig {
  return aws.parse({ region, zone, instanceTypes, gpuMemoryGiB, lease: until, vpc: "default" });
}

/** Does an experiment for eks get a cluster of its own? */
export function makesCluster({ name }: Pick<EksConfig, "name">): boolean {
  return name === undefined;
}
