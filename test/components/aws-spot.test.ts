import { beforeEach, describe, expect, it, vi } from "vitest";
import { violations } from "../../policies/pack.ts";
import { leaseTags } from "../../recipe/aws/lease.ts";
import { tagsFor } from "../../recipe/aws/tags.ts";
import { type Cloud, declare, type Declared, emptyCloud, ofAws, only } from "./aws-cloud.ts";
import { shippedExperiment, shippedValues, type Values } from "./aws-shipped.ts";

/** What the target aws declares where capacity is spot. */
const now = new Date("2026-11-27T12:00:30Z");

beforeEach(() => {
  vi.useFakeTimers({ now, toFake: ["Date"] });
  return () => vi.useRealTimers();
});

function spot({ aws = {}, ...changes }: Values = {}) {
  return shippedExperiment("aws-demo", { ...changes, aws: { spot: true, ...(aws as Values) } });
}

const group = (desired: number, tags = leaseTags({ expiry: "2026-11-27T15:00:00Z", hours: 4 })) => ({
  ...emptyCloud,
  groups: [{ name: "tuneup-exp", desired, tags: { ...tagsFor("exp"), ...tags } }],
});
const told = (all: readonly Declared[]): string =>
  Buffer.from(String(only(all, "LaunchTemplate").inputs["userData"]), "base64").toString();

it.each([{}, { vpc: "default" }, { owner: "me@example.com", volume: { type: "gp2" } }])(
  "keeps every rule of the policy pack with %j",
  async (aws) => {
    const there = { ...emptyCloud, vpc: { id: "vpc-0aaaaaaaaaaaaaaaa", subnets: ["subnet-b", "subnet-a"] } };
    const all = ofAws(await declare(spot({ aws }), { there }));
    expect(all.some(({ type }) => type.endsWith(":Bucket"))).toBe(true);
    expect(violations(all)).toEqual([]);
    // The same without each of what makes the bucket safe.
    for (const kind of ["BucketPublicAccessBlock", "BucketPolicy", "BucketVersioning"]) {
      expect(violations(all.filter(({ type }) => !type.endsWith(`:${kind}`))).map(({ rule }) => rule)).toEqual([
        "bucket-safe",
      ]);
    }
  },
);

describe("the group", () => {
  it("has one machine at most and may have none, of spot capacity alone, in every zone", async () => {
    const all = await declare(spot());
    const { inputs } = only(all, "Group");
    expect(inputs).toMatchObject({ name: "tuneup-exp", minSize: 0, maxSize: 1, desiredCapacity: 1 });
    expect(inputs["vpcZoneIdentifiers"]).toHaveLength(3);
    const subnets = all.filter(({ type, name }) => type.endsWith(":Subnet") && name.includes("private"));
    expect(subnets.map(({ inputs: { availabilityZone } }) => availabilityZone)).toEqual(
      ["a", "b", "c"].map((zone) => `us-east-1${zone}`),
    );
    expect(new Set(subnets.map(({ inputs: { cidrBlock } }) => cidrBlock)).size).toBe(3);
    for (const kind of ["Instance", "Volume", "VolumeAttachment"]) {
      expect(all.some(({ type }) => type.endsWith(`:${kind}`))).toBe(false);
    }
  });

  it("takes what the user names in that order, else the cheapest by price", async () => {
    const policyOf = async (aws: Values) => {
      const { inputs } = only(await declare(spot({ aws })), "Group");
      return inputs["mixedInstancesPolicy"] as {
        readonly instancesDistribution: { readonly spotAllocationStrategy: string };
        readonly launchTemplate: { readonly overrides: readonly { readonly instanceType: string }[] };
      };
    };
    const own = await policyOf({});
    expect(own.instancesDistribution.spotAllocationStrategy).toBe("price-capacity-optimized");
    expect(own.launchTemplate.overrides.map(({ instanceType }) => instanceType)).toEqual([
      "g4dn.xlarge",
      "g4dn.2xlarge",
      "g6.xlarge",
      "g6.2xlarge",
      "g5.xlarge",
    ]);
    const named = await policyOf({ instanceTypes: ["g6.xlarge", "g4dn.xlarge", "g6e.xlarge"] });
    expect(named.instancesDistribution.spotAllocationStrategy).toBe("capacity-optimized-prioritized");
    expect(named.launchTemplate.overrides.map(({ instanceType }) => instanceType)).toEqual([
      "g6.xlarge",
      "g4dn.xlarge",
      "g6e.xlarge",
    ]);
  });

  it("has room for the data on an encrypted root disk, beside the image", async () => {
    const { inputs } = only(await declare(spot()), "LaunchTemplate");
    expect(inputs["blockDeviceMappings"]).toEqual([
      {
        deviceName: "/dev/sda1",
        ebs: { volumeType: "gp3", volumeSize: 95, encrypted: "true", deleteOnTermination: "true" },
      },
    ]);
  });

  it("is refused for an image without a root disk that tells its size", async () => {
    await expect(declare(spot(), { there: { ...emptyCloud, rootGiB: undefined } })).rejects.toThrow(
      /^tuneup:aws\.amiParameter: the image ami-0123456789abcdef0 has no root disk on EBS whose size it tells/,
    );
  });

  it("gives its machines the tags by which they are found", async () => {
    const { inputs } = only(await declare(spot({ aws: { owner: "me" } })), "Group");
    const tags = inputs["tags"] as readonly { key: string; value: string; propagateAtLaunch: boolean }[];
    expect(tags.every(({ propagateAtLaunch }) => propagateAtLaunch)).toBe(true);
    expect(Object.fromEntries(tags.map(({ key, value }) => [key, value]))).toMatchObject({
      ...{ "tuneup:project": "tuneup", "tuneup:stack": "exp", "tuneup:owner": "me" },
      ...{ "tuneup:expiry": "2026-11-27T16:01:00Z", "tuneup:lease-hours": "4" },
    });
  });

  it("is not chosen among several", async () => {
    const both = [...group(1).groups, { name: "tuneup-by-hand", desired: 1, tags: {} }];
    await expect(declare(spot(), { there: { ...emptyCloud, groups: both } })).rejects.toThrow(
      "There are 2 groups with the tags of exp: tuneup-by-hand, tuneup-exp.",
    );
  });
});

describe("a machine on demand", () => {
  const running = [{ id: "i-0a", tags: {} }];
  /** A group whose lease of 4 hours began so many minutes ago. */
  const begun = (minutes: number, more: { desired?: number; onDemand?: number } = {}): Cloud => {
    const expiry = new Date(now.getTime() + (240 - minutes) * 60_000).toISOString();
    const tags = { ...tagsFor("exp"), ...leaseTags({ expiry, hours: 4 }) };
    return { ...emptyCloud, groups: [{ name: "tuneup-exp", desired: 1, tags, ...more }] };
  };
  const base = async (there: Cloud, aws: Values = {}) => {
    const { inputs } = only(await declare(spot({ aws }), { there }), "Group");
    const policy = inputs["mixedInstancesPolicy"] as { instancesDistribution: { onDemandBaseCapacity: number } };
    return policy.instancesDistribution.onDemandBaseCapacity;
  };

  it.each<[string, Cloud, Values, number]>([
    ["at first", emptyCloud, {}, 0],
    ["before the minutes are over", begun(14), {}, 0],
    ["after them", begun(16), {}, 1],
    ["after others", begun(16), { onDemandFallback: 30 }, 0],
    ["never where they are 0", begun(200), { onDemandFallback: 0 }, 0],
    ["not while one of spot capacity runs", { ...begun(200), machines: running }, {}, 0],
    ["still while one on demand runs", { ...begun(200, { onDemand: 1 }), machines: running }, {}, 1],
    ["not after an end", begun(200, { desired: 0, onDemand: 1 }), {}, 0],
  ])("is taken where there was no spot capacity for long: %s", async (_when, there, aws, expected) => {
    expect(await base(there, aws)).toBe(expected);
  });

  it("is waited for as long, and the user told by the next up", async () => {
    expect(only(await declare(spot()), "Group").inputs["waitForCapacityTimeout"]).toBe("15m");
    const never = await declare(spot({ aws: { onDemandFallback: 0 } }));
    expect(only(never, "Group").inputs["waitForCapacityTimeout"]).toBe("10m");
  });
});

/** The end of the address below which the machines of a lease leave what the next goes on by. */
const planOf = (expiry: string) => `/runs/machine/${Date.parse(expiry) / 1000}/`;

describe("the lease", () => {
  it("is told to every machine as one time, and outside too", async () => {
    const all = await declare(spot());
    expect(told(all)).toContain(`"content": "${Date.parse("2026-11-27T16:01:00Z") / 1000}\\n"`);
    const { inputs } = only(all, "Schedule");
    expect(inputs["scheduleExpression"]).toBe("at(2026-11-27T16:01:00)");
    expect(inputs["target"]).toMatchObject({ arn: "arn:aws:scheduler:::aws-sdk:autoscaling:setDesiredCapacity" });
    expect(JSON.parse((inputs["target"] as { input: string }).input)).toEqual({
      ...{ AutoScalingGroupName: "tuneup-exp", DesiredCapacity: 0 },
    });
  });

  it("does not move at later ups, nor when a machine took another's place", async () => {
    const all = await declare(spot(), { there: group(1) });
    expect(only(all, "Schedule").inputs["scheduleExpression"]).toBe("at(2026-11-27T15:00:00)");
    expect(told(all)).toContain(String(Date.parse("2026-11-27T15:00:00Z") / 1000));
  });

  it("begins anew after an end", async () => {
    const all = await declare(spot(), { there: group(0) });
    expect(only(all, "Schedule").inputs["scheduleExpression"]).toBe("at(2026-11-27T16:01:00)");
    expect(told(all)).toContain(planOf("2026-11-27T16:01:00Z"));
  });

  it("that is moved leaves the plan where the machine of now keeps it", async () => {
    const longer = { aws: { lease: { hours: 6 } } };
    const tags = {
      ...leaseTags({ expiry: "2026-11-27T15:00:00Z", hours: 4 }),
      "tuneup:resume": "2026-11-27T13:00:00Z",
    };
    const all = await declare(spot(longer), { there: group(1, tags) });
    expect(only(all, "Schedule").inputs["scheduleExpression"]).toBe("at(2026-11-27T17:00:00)");
    expect(told(all)).toContain(planOf("2026-11-27T13:00:00Z"));
  });

  it("ends the group from outside before it may have a machine", async () => {
    const all = await declare(spot());
    const at = (kind: string) => all.findIndex(({ type }) => type.endsWith(`:${kind}`));
    expect(at("Schedule")).toBeGreaterThan(-1);
    expect(at("Schedule")).toBeLessThan(all.findIndex(({ type }) => type === "aws:autoscaling/group:Group"));
  });
});

describe("the bucket", () => {
  const bucket = (name: string, tags: Values = {}) => ({ name, tags: tags as Record<string, string> });
  const withBuckets = (...buckets: ReturnType<typeof bucket>[]): Cloud => ({ ...emptyCloud, buckets });
  const job = (all: readonly Declared[]) => all.find(({ type }) => type === "tuneup-host:index:SftJob");

  it("of its own is where the run is published, by the rights of the machine's role", async () => {
    const all = await declare(spot(), { whole: true });
    const name = String(only(all, "Bucket").inputs["bucket"]);
    expect(name).toMatch(/^tuneup-exp-[0-9a-f]{12}$/);
    expect(job(all)?.inputs["artifacts"]).toBe(`s3://${name}`);
    const { inputs } = only(all, "RolePolicy", "tuneup-exp-publish");
    expect(inputs["policy"]).toContain(`"arn:aws:s3:::${name}/exp/runs/*"`);
  });

  it("that the file names is not made", async () => {
    const all = await declare(spot({ storage: { artifacts: "s3://mine/out" } }), { whole: true });
    expect(all.some(({ type }) => /:Bucket/.test(type))).toBe(false);
    expect(job(all)?.inputs["artifacts"]).toBe("s3://mine/out");
  });

  it("that is there is adopted with its tags, whatever its name", async () => {
    const there = withBuckets(bucket("tuneup-exp-old", { "tuneup:stack": "exp", "aws:x": "y", by: "hand" }));
    const { adopts, inputs } = only(await declare(spot(), { there }), "Bucket");
    expect(adopts).toBe("tuneup-exp-old");
    expect(inputs).toMatchObject({ bucket: "tuneup-exp-old" });
    expect(inputs["tags"]).toEqual({ "tuneup:stack": "exp", by: "hand" });
  });

  it("is not chosen among several", async () => {
    await expect(declare(spot(), { there: withBuckets(bucket("b"), bucket("a")) })).rejects.toThrow(
      "There are 2 buckets with the tags of exp in us-east-1: a, b.",
    );
  });
});

it("lets the machine leave its group and nothing more of it", async () => {
  const all = await declare(spot());
  const { inputs } = only(all, "RolePolicy", "tuneup-exp-leave");
  expect(JSON.parse(String(inputs["policy"]))).toMatchObject({
    Statement: [
      {
        Action: "autoscaling:SetDesiredCapacity",
        Resource: "arn:aws:autoscaling:us-east-1:*:autoScalingGroup:*:autoScalingGroupName/tuneup-exp",
      },
    ],
  });
});

it("makes no machine for a run that is finished and safe, and keeps its bucket", async () => {
  const { serve, ...rest } = shippedValues("aws-demo");
  expect(serve).toBeDefined();
  const finished = { ...rest, serve: { enabled: false } };
  const isFinished = () => Promise.resolve(true);
  const all = await declare(spot(finished), { isFinished, there: group(0), last: "aws:s3/bucket:Bucket" });
  expect(all.some(({ type }) => /:(Group|LaunchTemplate|Vpc|Schedule)$/.test(type))).toBe(false);
  // As long as it has a machine nothing is taken from under it.
  const on = await declare(spot(finished), { isFinished, there: group(1) });
  expect(on.some(({ type }) => type.endsWith(":Group"))).toBe(true);
});
