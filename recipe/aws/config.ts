import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { decimal, flag, whole } from "../config-scalars.ts";
import { nearest } from "../nearest.ts";
import { instanceTypes } from "./instance-types.ts";

const known = instanceTypes.map(({ name }) => name);

const typeName = z.string().superRefine((name, context) => {
  if (known.includes(name)) return;
  const close = nearest(name, known);
  const families = [...new Set(known.map((one) => one.split(".")[0]))].join(", ");
  const hint = close.length > 0 ? ` (did you mean ${close.join(" or ")}?)` : "";
  context.addIssue(`must be a GPU instance type of the families ${families}${hint}`);
});

/** A block of addresses such as 203.0.113.0/24. */
export const cidr = z.string().refine(
  (text) => {
    const [address = "", length = ""] = text.split("/");
    const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
    return /^\d+$/.test(length) && Number(length) <= most && text.split("/").length === 2;
  },
  { error: "must be a block of addresses such as 203.0.113.0/24" },
);

/** Is a block so large that it is the open internet? 0.0.0.0/0 in two halves is. */
export function isWorldOpen(block: string): boolean {
  const [address = "", length = "128"] = block.split("/");
  return Number(length) < (isIPv6(address) ? 16 : 8);
}

/** The data volume. */
const volume = z.strictObject({
  sizeGiB: z
    .union([z.literal("auto"), whole(z.int().positive())])
    .default("auto")
    .describe("Its size. auto: by the estimate of the disk, with a fifth to spare. A volume can grow, never shrink."),
  type: z.enum(["gp3", "gp2"]).default("gp3").describe("Its kind; gp3 with its baseline of 3000 IOPS and 125 MB/s."),
});

/** Who may chat from outside. */
const publicChat = z
  .strictObject({
    certificate: z
      .string()
      .regex(/^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/\S+$/, {
        error: "must be the ARN of a certificate in ACM",
      })
      .describe("ARN of the certificate in ACM that the load balancer shows."),
    allowedCidrs: z.array(cidr).min(1).describe("Blocks of IPv4 addresses that may connect, by https."),
    everyone: flag
      .default(false)
      .describe("Must be true as well for 0.0.0.0/0, ::/0 and blocks nearly as large: said once it may be a slip."),
  })
  .refine(({ allowedCidrs, everyone }) => everyone || !allowedCidrs.some(isWorldOpen), {
    path: ["allowedCidrs"],
    error: "must not be the open internet, unless `aws.publicChat.everyone: true` says so too",
  });

/** When the machine ends whatever happens. */
export const lease = z.strictObject({
  hours: decimal(z.number().positive())
    .default(24)
    .describe("Hours after which the machine is terminated, from inside and from outside. Data stays."),
  usd: decimal(z.number().positive())
    .optional()
    .describe("US dollars after which it is terminated, at the price of an hour. Default: the hours alone."),
});

const usualRegion = "us-east-1";

/** AWS's own for its Deep Learning Base image with NVIDIA's open driver: driver 595 in October 2026 (docs/aws.md). */
const usualAmi = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id";

const settings = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, { error: "must be a region such as us-east-1" })
    .default(usualRegion)
    .describe("Region. The table of prices is of us-east-1."),
  zone: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d[a-z]$/, { error: "must be an availability zone such as us-east-1a" })
    .optional()
    .describe("Availability zone of volume and machine: a volume can't leave it. Default: the region's zone a."),
  instanceTypes: z
    .array(typeName)
    .min(1)
    .optional()
    .describe("Instance types in order of preference; the first that fits is taken. Default: the cheapest that fits."),
  gpuMemoryGiB: z
    .union([z.literal("auto"), decimal(z.number().positive())])
    .default("auto")
    .describe("Least memory of one card. auto: what the estimate says."),
  spot: flag
    .default(false)
    .describe(
      "Take spot capacity: cheaper, and AWS may take it back with two minutes' notice; it starts another by itself.",
    ),
  onDemandFallback: whole(z.int().min(0))
    .default(15)
    .describe("Minutes without spot capacity after which `up` takes an on-demand machine; 0: never."),
  volume: volume
    .prefault({})
    .describe("The encrypted data volume. It outlives the machine and is billed until deleted."),
  vpc: z
    .string()
    .regex(/^(own|default|vpc-[0-9a-f]{8,17})$/, {
      error: "must be own, default, or the id of a VPC such as vpc-0a1b2c3d",
    })
    .default("own")
    .describe("own: one with a private subnet and endpoints; default: the account's; or the id of another."),
  egress: z
    .enum(["nat", "none"])
    .default("nat")
    .describe(
      "Way from an own VPC to the internet. nat: a NAT gateway; none: no way at all, and everything is pushed from this machine.",
    ),
  amiParameter: z
    .string()
    .regex(/^\/[\w./-]{1,1000}$/, { error: "must be the name of a parameter in SSM, such as /aws/service/..." })
    .default(usualAmi)
    .describe(
      "SSM parameter with the id of the machine's image: Ubuntu, x86_64, with NVIDIA's driver and the SSM agent.",
    ),
  owner: z
    .string()
    .regex(/^[\p{L}\p{N} _.:/=+@-]{1,128}$/u, { error: "must be 1 to 128 letters, digits, spaces or _.:/=+-@" })
    .optional()
    .describe("Whose it is, for the tag tuneup:owner, such as a mail address. Default: `-`."),
  publicChat: publicChat
    .optional()
    .describe("Chat from outside, by a load balancer with TLS. Default: none; chat goes through SSM."),
  idleMinutes: whole(z.int().min(5))
    .default(30)
    .describe(
      "Minutes in which nothing trains and nobody chats, after which `teardown: after-idle` (and after-training) ends the machine.",
    ),
  lease: lease.prefault({}).describe("When the machine ends whatever happens."),
});

/** `tuneup:aws`: what is provisioned for the target aws. */
export const aws = settings
  .refine(({ region, zone }) => zone === undefined || zone.slice(0, -1) === region, {
    path: ["zone"],
    error: "must be a zone of aws.region",
  })
  .refine(({ region, publicChat }) => publicChat === undefined || publicChat.certificate.split(":")[3] === region, {
    path: ["publicChat", "certificate"],
    error: "must be the ARN of a certificate in aws.region, where the load balancer is",
  });

/** What `tuneup:aws` says, its defaults filled in. */
export type AwsConfig = z.output<typeof aws>;

/** The settings of an experiment that says `tuneup:aws` or leaves it out. */
export function awsConfig(stated: AwsConfig | undefined): AwsConfig {
  return stated ?? aws.parse({});
}

/** Availability zone of volume and machine. */
export function zoneOf({ region, zone }: Pick<AwsConfig, "region" | "zone">): string {
  return zone ?? `${region}a`;
}
