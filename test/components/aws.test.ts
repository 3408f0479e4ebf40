import { RunError } from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { violations } from "../../policies/pack.ts";
import { leaseFile } from "../../recipe/aws/ends.ts";
import { leaseTags } from "../../recipe/aws/lease.ts";
import { tagsFor } from "../../recipe/aws/tags.ts";
import { asked, type Cloud, type CloudVolume, declare, type Declared, emptyCloud, ofAws, only } from "./aws-cloud.ts";
import { pictureOf } from "./aws-picture.ts";
import { shipped, shippedExperiment, type Values } from "./aws-shipped.ts";

const now = new Date("2026-11-27T12:00:30Z");
const demo = () => shippedExperiment("aws-demo");

beforeEach(() => {
  vi.useFakeTimers({ now, toFake: ["Date"] });
  return () => vi.useRealTimers();
});

/** Tags that a user changed after a stack was destroyed. */
const own = { ...tagsFor("exp", { owner: "someone", expiry: "kept" }), "tuneup:volume": "data", Name: "by hand" };

const kept: CloudVolume = {
  ...{ id: "vol-0fedcba9876543210", availabilityZone: "us-east-1a", size: 40, volumeType: "gp2", encrypted: true },
  tags: { ...own, "aws:backup": "yes" },
  status: "available",
};
const withVolume = (change: Partial<CloudVolume>): Cloud => ({ ...emptyCloud, volumes: [{ ...kept, ...change }] });

describe.each(shipped)("the shipped experiment %s", (name) => {
  it("declares what it always did", async () => {
    const all = await declare(shippedExperiment(name), { stack: name });
    await expect(pictureOf(all)).toMatchFileSnapshot(`aws-declared/${name}.txt`);
  });

  it.each([{}, { egress: "none" }, { volume: { type: "gp2" }, owner: "me@example.com" }])(
    "keeps every rule of the policy pack with %j",
    async (stated) => {
      // With spot capacity there is a way out.
      const aws = name === "aws-spot" ? { ...stated, egress: "nat" } : stated;
      const all = await declare(shippedExperiment(name, { aws }), { stack: name });
      expect(ofAws(all).length).toBeGreaterThan(20);
      expect(violations(ofAws(all))).toEqual([]);
    },
  );
});

it("ships a small experiment and the tutorial's", () => {
  expect(shipped.toSorted()).toEqual(["aws-demo", "aws-qwen2.5-7b", "aws-spot"]);
});

describe("the host", () => {
  it("is known by the stack's name, and its resources come after machine, volume and lease", async () => {
    const all = await declare(demo(), { whole: true });
    const host = { kind: "aws", dataDirectory: "/var/lib/tuneup", region: "us-east-1", stack: "exp" };
    const kinds = ["Environment", "ModelWeights", "Dataset", "SftJob", "ChatEndpoint", "RunCompletion"];
    const onHost = all.filter(({ type }) => type.startsWith("tuneup-host:"));
    expect(onHost.map(({ type }) => type.split(":").at(-1)).toSorted()).toEqual(kinds.toSorted());
    for (const { inputs } of onHost) expect(inputs["host"]).toEqual(host);
    const at = (kind: string) => all.findIndex(({ type }) => type.endsWith(`:${kind}`));
    for (const kind of ["Instance", "VolumeAttachment", "Schedule", "NatGateway"]) {
      expect(at(kind), kind).toBeGreaterThanOrEqual(0);
      expect(at(kind), kind).toBeLessThan(all.findIndex(({ type }) => type === "tuneup-host:index:Environment"));
    }
  });

  it("is offline without a way to the internet", async () => {
    const all = await declare(shippedExperiment("aws-demo", { aws: { egress: "none" } }), { whole: true });
    const job = all.find(({ type }) => type === "tuneup-host:index:SftJob");
    expect(job?.inputs["host"]).toMatchObject({ offline: true });
    const kinds = all.map(({ type }) => type.split(":").at(-1));
    for (const kind of ["NatGateway", "Eip", "InternetGateway", "Route"]) expect(kinds).not.toContain(kind);
    const out = all.filter(({ type }) => type.endsWith(":SecurityGroupEgressRule")).map(({ inputs }) => inputs);
    expect(out.map((rule) => rule["cidrIpv4"])).toEqual([undefined, undefined]);
  });
});

it("lets the machine publish where storage.artifacts says, by the rules", async () => {
  const all = await declare(shippedExperiment("aws-demo", { storage: { artifacts: "s3://bucket/out" } }), {
    whole: true,
  });
  const policies = all.filter(({ type, name }) => type.endsWith(":RolePolicy") && name.endsWith("-publish"));
  expect(policies.map(({ inputs }) => inputs["policy"])).toEqual([
    expect.stringContaining('"arn:aws:s3:::bucket/out/exp/runs/*"'),
  ]);
  expect(violations(ofAws(all))).toEqual([]);
  const job = all.find(({ type }) => type === "tuneup-host:index:SftJob");
  expect(job?.inputs["artifacts"]).toBe("s3://bucket/out");
});

describe("a given network", () => {
  const there = { ...emptyCloud, vpc: { id: "vpc-0aaaaaaaaaaaaaaaa", subnets: ["subnet-b", "subnet-a"] } };

  it.each(["default", "vpc-0aaaaaaaaaaaaaaaa"])("%s: only the machine's group is made in it", async (vpc) => {
    const all = await declare(shippedExperiment("aws-demo", { aws: { vpc } }), { there });
    expect(only(all, "SecurityGroup").inputs["vpcId"]).toBe("vpc-0aaaaaaaaaaaaaaaa");
    expect(only(all, "Instance").inputs["subnetId"]).toBe("subnet-a");
    expect(all.some(({ type }) => /:(Vpc|Subnet|VpcEndpoint|NatGateway)$/.test(type))).toBe(false);
    expect(violations(ofAws(all))).toEqual([]);
    const vpcAsked = asked.find(({ token }) => token.endsWith(":getVpc"))?.inputs;
    expect(vpcAsked).toEqual(vpc === "default" ? { default: true } : { id: vpc });
  });

  it("without a private subnet in the zone is refused", async () => {
    const without = { ...there, vpc: { ...there.vpc, subnets: [] } };
    await expect(
      declare(shippedExperiment("aws-demo", { aws: { vpc: "default" } }), { there: without }),
    ).rejects.toThrow(/^tuneup:aws\.vpc: vpc-0a+ has no private subnet in us-east-1a/);
  });
});

describe("the volume", () => {
  it("is new where there is none, and is left by destroy", async () => {
    const volume = only(await declare(demo()), "Volume");
    expect(volume.adopts).toBe("");
    expect(volume.inputs).toMatchObject({ size: 20, type: "gp3", encrypted: true, availabilityZone: "us-east-1a" });
  });

  it("that a destroyed stack left is adopted as it is", async () => {
    const volume = only(await declare(demo(), { there: withVolume({}) }), "Volume");
    expect(volume.adopts).toBe(kept.id);
    expect(volume.inputs).toMatchObject({ size: 40, type: "gp2" });
    expect(volume.inputs["tags"]).toEqual(own);
  });

  it("in use has what the file says, and never shrinks", async () => {
    const there = withVolume({ status: "in-use" });
    const { inputs } = only(await declare(demo(), { there }), "Volume");
    expect(inputs).toMatchObject({ size: 40, type: "gp3", tags: { "tuneup:volume": "data", "tuneup:expiry": "kept" } });
    const larger = shippedExperiment("aws-demo", { aws: { volume: { sizeGiB: 60 } } });
    expect(only(await declare(larger, { there }), "Volume").inputs).toMatchObject({ size: 60 });
  });

  it.each<[string, Cloud, RegExp]>([
    [
      "another zone",
      withVolume({ availabilityZone: "us-east-1b" }),
      /^tuneup:aws\.zone: the volume vol-0\w+ .* is in us-east-1b/,
    ],
    ["no encryption", withVolume({ encrypted: false }), /is not encrypted/],
    [
      "a double",
      { ...emptyCloud, volumes: [kept, { ...kept, id: "vol-0aaaaaaaaaaaaaaaa" }] },
      /^There are 2 volumes .*: vol-0aaaaaaaaaaaaaaaa, vol-0fedcba9876543210\./,
    ],
  ])("with %s is refused before anything is declared", async (_what, there, sentence) => {
    await expect(declare(demo(), { there })).rejects.toThrow(sentence);
  });
});

describe("the lease", () => {
  const scheduled = (all: readonly Declared[]) => only(all, "Schedule").inputs["scheduleExpression"];
  const running = (expiry: string, hours: number): Cloud => ({
    ...emptyCloud,
    machines: [{ id: "i-0123456789abcdef0", tags: leaseTags({ expiry, hours }) }],
  });

  it("begins with a new machine, whose tags and schedule say the same end", async () => {
    const all = await declare(demo());
    expect(scheduled(all)).toBe("at(2026-11-27T16:01:00)");
    expect(only(all, "Instance").inputs["tags"]).toMatchObject({
      "tuneup:expiry": "2026-11-27T16:01:00Z",
      "tuneup:lease-hours": "4",
    });
    const { target } = only(all, "Schedule").inputs as { target: { input: string; arn: string } };
    expect(JSON.parse(target.input)).toEqual({ InstanceIds: ["i-0123456789abcdef0"] });
  });

  it("of a machine that runs does not move, whenever `up` comes", async () => {
    expect(scheduled(await declare(demo(), { there: running("2026-11-27T13:00:00Z", 4) }))).toBe(
      "at(2026-11-27T13:00:00)",
    );
  });

  it("moves by what the file adds to it", async () => {
    expect(scheduled(await declare(demo(), { there: running("2026-11-27T13:00:00Z", 2) }))).toBe(
      "at(2026-11-27T15:00:00)",
    );
  });
});

describe("a run that is finished and safe here", () => {
  const finished = { whole: true, isFinished: () => Promise.resolve(true) };
  const machine = { id: "i-0123456789abcdef0", tags: {} };

  it.each<[string, Values, Cloud]>([
    ["after-training", { teardown: "after-training" }, emptyCloud],
    ["nothing to serve", { serve: { enabled: false } }, withVolume({})],
  ])("%s: keeps the volume alone, and says that no machine is wanted", async (_what, changes, there) => {
    const all = await declare(shippedExperiment("aws-demo", changes), { ...finished, there });
    expect(ofAws(all).map(({ type }) => type)).toEqual(["aws:ebs/volume:Volume"]);
    const onHost = all.filter(({ type }) => type.startsWith("tuneup-host:"));
    expect(onHost.map(({ type }) => type.split(":").at(-1))).toContain("RunCompletion");
    for (const { inputs } of onHost) expect(inputs["host"]).toMatchObject({ kind: "aws", resting: true });
    expect(violations(ofAws(all))).toEqual([]);
  });

  it.each<[string, Values, Cloud, boolean]>([
    ["to be served", {}, emptyCloud, true],
    ["with a machine that runs", { serve: { enabled: false } }, { ...emptyCloud, machines: [machine] }, true],
    ["of another config", { serve: { enabled: false } }, emptyCloud, false],
  ])("%s: has a machine", async (_what, changes, there, isFinished) => {
    const asks = { whole: true, there, isFinished: () => Promise.resolve(isFinished) };
    const all = await declare(shippedExperiment("aws-demo", changes), asks);
    expect(only(all, "Instance")).toBeDefined();
    const job = all.find(({ type }) => type === "tuneup-host:index:SftJob");
    expect(job?.inputs["host"]).not.toHaveProperty("resting");
  });
});

describe("what the machine is told at its start", () => {
  const told = async (changes: Values): Promise<string> => {
    const { inputs } = only(await declare(shippedExperiment("aws-demo", changes)), "Instance");
    return String(inputs["userData"]);
  };

  it("is which volume is its own, when its lease ends, and what else ends it", async () => {
    expect(await told({})).toContain("Amazon_Elastic_Block_Store_vol0123456789abcdef0");
    expect(await told({})).toContain(`/lease ${leaseFile} ${4 * 3600}`);
    expect(await told({})).not.toContain("tuneup-after-idle.timer");
    expect(await told({ teardown: "after-idle" })).toContain("tuneup-after-idle.timer");
    const ends = await told({ teardown: "after-training" });
    expect(ends).toContain("tuneup-after-training.timer");
    // More than that EC2 does not take, in base64 and without.
    expect(Buffer.byteLength(ends)).toBeLessThan(16_384);
  });
});

describe("what AWS refuses", () => {
  it.each<[string, Cloud, RegExp]>([
    [
      "no such image",
      { ...emptyCloud, ami: undefined },
      /^AWS did not tell the image of the machine \(SSM parameter \S+ in us-east-1\): reading it: ParameterNotFound:\. Check/,
    ],
    ["no image's id", { ...emptyCloud, ami: "x" }, /^tuneup:aws\.amiParameter: \S+ holds no image's id, got "x"\./],
    [
      "credentials",
      { ...emptyCloud, refusal: "ExpiredToken: the token has expired" },
      /^AWS did not tell the \S.*: reading it: ExpiredToken: the token has expired\. Check credentials and region/,
    ],
    [
      "two machines",
      { ...emptyCloud, machines: ["i-0b", "i-0a"].map((id) => ({ id, tags: {} })) },
      /^There are 2 machines with the tags of exp: i-0a, i-0b\./,
    ],
  ])("%s: one sentence", async (_what, there, sentence) => {
    const failure: unknown = await declare(demo(), { there }).catch((thrown: unknown) => thrown);
    // It is shown without a stack.
    expect(RunError.isInstance(failure)).toBe(true);
    expect((failure as Error).message).toMatch(sentence);
  });
});
