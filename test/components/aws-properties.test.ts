import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { violations } from "../../policies/pack.ts";
import { requiredTags } from "../../policies/tags.ts";
import { isWorldOpen } from "../../recipe/aws/config.ts";
import { instanceTypes } from "../../recipe/aws/instance-types.ts";
import { type Cloud, declare, type Declared, emptyCloud, ofAws, only } from "./aws-cloud.ts";
import { shippedExperiment } from "./aws-shipped.ts";

/** Stacks' names as Pulumi takes them. */
const stacks = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/);

const regions = fc.constantFrom("us-east-1", "eu-central-1", "ap-southeast-2", "us-gov-west-1");

const byte = fc.integer({ min: 0, max: 255 });
const blocks = fc
  .tuple(byte, byte, byte, byte, fc.integer({ min: 0, max: 32 }))
  .map(([a, b, c, d, length]) => `${a}.${b}.${c}.${d}/${length}`);

const publicChats = (region: string) =>
  fc.array(blocks, { minLength: 1, maxLength: 5 }).map((allowedCidrs) => ({
    certificate: `arn:aws:acm:${region}:123456789012:certificate/0a1b`,
    allowedCidrs,
    everyone: allowedCidrs.some(isWorldOpen),
  }));

/** Everything that `tuneup:aws` may say and this release does. */
const settings = regions.chain((region) =>
  fc.record(
    {
      region: fc.constant(region),
      zone: fc.constantFrom("a", "b", "c").map((letter) => region + letter),
      instanceTypes: fc.uniqueArray(fc.constantFrom(...instanceTypes.map(({ name }) => name)), { minLength: 1 }),
      volume: fc.record({ sizeGiB: fc.integer({ min: 20, max: 16_384 }), type: fc.constantFrom("gp3", "gp2") }),
      vpc: fc.constantFrom("own", "default", "vpc-0aaaaaaaaaaaaaaaa"),
      egress: fc.constantFrom("nat", "none"),
      owner: fc.constantFrom("me@example.com", "Team Ä"),
      lease: fc.record({ hours: fc.integer({ min: 1, max: 10_000 }) }),
      publicChat: publicChats(region),
    },
    { requiredKeys: ["region"] },
  ),
);

/** The zone that the shipped file names is of another region. */
const withSettings = (aws: object) => shippedExperiment("aws-demo", { aws: { zone: undefined, ...aws } });

const publicSubnets = Object.fromEntries(
  ["us-east-1", "eu-central-1", "ap-southeast-2", "us-gov-west-1"].flatMap((region) =>
    ["a", "b", "c"].map((letter) => [region + letter, [`subnet-${region}${letter}`]]),
  ),
);
const vpc = { id: "vpc-0aaaaaaaaaaaaaaaa", subnets: ["subnet-a"], publicSubnets };
const cloud: Cloud = { ...emptyCloud, vpc };

/** Kinds whose names AWS keeps unique, with the most characters that it takes. Pulumi makes them: the resource's own, a dash, 7 more. */
const named: Readonly<Record<string, number>> = {
  Role: 64,
  InstanceProfile: 128,
  RolePolicy: 128,
  Schedule: 64,
  SecurityGroup: 255,
  LoadBalancer: 32,
  TargetGroup: 32,
};

function namesIn(all: readonly Declared[]): [string, string][] {
  return all.flatMap(({ type, name, inputs }) => {
    const kind = type.split(":").at(-1) ?? "";
    if (!(kind in named)) return [];
    expect(inputs).not.toHaveProperty("name");
    return [[kind, `${name}-0123456`] as [string, string]];
  });
}

describe("whatever the file says", () => {
  it("nothing but a load balancer can be reached from outside, everything is encrypted, tagged and named as AWS takes it", async () => {
    await fc.assert(
      fc.asyncProperty(settings, stacks, async (aws, stack) => {
        const all = ofAws(await declare(withSettings(aws), { stack, there: cloud }));
        expect(violations(all)).toEqual([]);
        const { inputs } = only(all, "Instance");
        expect(inputs).toMatchObject({
          associatePublicIpAddress: false,
          instanceInitiatedShutdownBehavior: "terminate",
        });
        expect(inputs).not.toHaveProperty("keyName");
        // Whoever comes in comes from a group of this network.
        for (const rule of all.filter(({ type }) => type.endsWith(":SecurityGroupIngressRule"))) {
          const { cidrIpv4, fromPort, toPort, securityGroupId } = rule.inputs;
          if (cidrIpv4 === undefined) continue;
          expect(aws.publicChat).toBeDefined();
          // Never the machine's own.
          expect([fromPort, toPort, securityGroupId]).toEqual(
            [443, 443, only(all, "LoadBalancer").inputs["securityGroups"]].flat(),
          );
        }
        expect(all.some(({ type }) => type.startsWith("aws:lb/"))).toBe(aws.publicChat !== undefined);
        for (const { inputs } of all.filter((one) => one.inputs["tags"] !== undefined)) {
          const tags = inputs["tags"] as Record<string, string>;
          expect(Object.keys(tags)).toEqual(expect.arrayContaining([...requiredTags]));
          expect(tags["tuneup:stack"]).toBe(stack);
          for (const [name, value] of Object.entries(tags)) {
            expect(name.length).toBeLessThanOrEqual(128);
            expect(value).toMatch(/^[\p{L}\p{N} _.:/=+@-]{1,256}$/u);
          }
        }
        const names = namesIn(all);
        expect(new Set(names.map(([kind, name]) => `${kind} ${name}`)).size).toBe(names.length);
        for (const [kind, name] of names) {
          expect(name).toMatch(/^tuneup-[A-Za-z0-9-]+$/);
          expect(name.length).toBeLessThanOrEqual(named[kind]!);
        }
      }),
      { numRuns: 25 },
    );
  });

  it("volume and machine are in one zone, and the zone is the file's", async () => {
    await fc.assert(
      fc.asyncProperty(settings, async (aws) => {
        const all = await declare(withSettings(aws), {
          there: cloud,
        });
        const zone = aws.zone ?? `${aws.region}a`;
        for (const kind of ["Instance", "Volume"]) expect(only(all, kind).inputs["availabilityZone"]).toBe(zone);
      }),
      { numRuns: 10 },
    );
  });

  it("is the same a second time", async () => {
    await fc.assert(
      fc.asyncProperty(settings, async (aws) => {
        const experiment = withSettings(aws);
        const first = ofAws(await declare(experiment, { there: cloud }));
        const { id, tags } = only(first, "Instance").inputs as { id: string; tags: Record<string, string> };
        const made = only(first, "Volume").inputs as { id: string; size: number; type: string; tags: typeof tags };
        const volume = {
          ...{ id: made.id, size: made.size, volumeType: made.type, tags: made.tags, encrypted: true },
          ...{ availabilityZone: aws.zone ?? `${aws.region}a`, status: "in-use" as const },
        };
        const there = { ...cloud, machines: [{ id, tags }], volumes: [volume] };
        const second = ofAws(await declare(experiment, { there }));
        const picture = (all: readonly Declared[]) =>
          all.map(({ type, name, inputs }) => [type, name, inputs]).toSorted();
        expect(picture(second)).toEqual(picture(first));
      }),
      { numRuns: 10 },
    );
  });
});
