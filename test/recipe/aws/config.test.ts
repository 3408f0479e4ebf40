import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aws, awsConfig, isWorldOpen, zoneOf } from "../../../recipe/aws/config.ts";
import { readExperiment } from "../../../recipe/experiment.ts";
import { Fault } from "../../../recipe/fault.ts";

const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b";

function sentences(settings: unknown): string[] {
  const { faults = [] } = readExperiment({
    target: "aws",
    model: { source: "hub", id: "Qwen/Qwen2.5-7B-Instruct" },
    datasets: [{ builtin: "general" }],
    train: { template: "qwen" },
    aws: settings,
  });
  return faults.map((fault) => new Fault(fault).sentence);
}

describe("tuneup:aws", () => {
  it("has a default for everything", () => {
    expect(awsConfig(undefined)).toEqual({
      ...{ region: "us-east-1", gpuMemoryGiB: "auto", spot: false, onDemandFallback: 15, vpc: "own" },
      egress: "nat",
      amiParameter: "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
      ...{ volume: { sizeGiB: "auto", type: "gp3" }, lease: { hours: 24 }, idleMinutes: 30 },
    });
    expect(zoneOf(awsConfig(undefined))).toBe("us-east-1a");
    expect(zoneOf({ region: "eu-west-1", zone: "eu-west-1c" })).toBe("eu-west-1c");
  });

  it("takes what `pulumi config set --path` writes", () => {
    const stated = { spot: "true", gpuMemoryGiB: "22.5", volume: { sizeGiB: "80" }, lease: { hours: "3", usd: "9.5" } };
    expect(aws.parse(stated)).toMatchObject({
      ...{ spot: true, gpuMemoryGiB: 22.5, volume: { sizeGiB: 80 }, lease: { hours: 3, usd: 9.5 } },
    });
  });

  it.each<[string, unknown, RegExp]>([
    ["a key", { zones: "a" }, /^aws\.zones: is not a config key\..* Did you mean zone\?$/],
    ["a key inside", { lease: { hour: 1 } }, /^aws\.lease\.hour: is not a config key\. Allowed here: hours, usd\./],
    ["a type", { instanceTypes: ["g5.xlarg"] }, /^aws\.instanceTypes\.0: must be a GPU .* \(did you mean g5\.xlarge/],
    [
      "a type without a GPU",
      { instanceTypes: ["m5.large"] },
      /must be a GPU instance type of the families .*, got "m5/,
    ],
    ["no type", { instanceTypes: [] }, /^aws\.instanceTypes: must have at least one entry, got \[\]/],
    ["a region", { region: "Virginia" }, /^aws\.region: must be a region such as us-east-1, got "Virginia"/],
    [
      "another region's zone",
      { region: "eu-west-1", zone: "us-east-1a" },
      /^aws\.zone: must be a zone of aws\.region, got "us-/,
    ],
    ["a size", { volume: { sizeGiB: "big" } }, /^aws\.volume\.sizeGiB: must be auto or a number above 0, got "big"/],
    ["a kind of volume", { volume: { type: "st1" } }, /^aws\.volume\.type: must be one of gp3, gp2, got "st1"/],
    ["a VPC", { vpc: "mine" }, /^aws\.vpc: must be own, default, or the id of a VPC/],
    ["no lease", { lease: { hours: 0 } }, /^aws\.lease\.hours: must be above 0, got 0/],
    ["no block", { publicChat: { certificate, allowedCidrs: [] } }, /allowedCidrs: must have at least one entry/],
    ["an address", { publicChat: { certificate, allowedCidrs: ["10.0.0.1"] } }, /allowedCidrs\.0: must be a block of/],
    ["a long prefix", { publicChat: { certificate, allowedCidrs: ["10.0.0.1/33"] } }, /must be a block of addresses/],
    [
      "no certificate",
      { publicChat: { allowedCidrs: ["10.0.0.0/8"] } },
      /^aws\.publicChat\.certificate: is required: ARN/,
    ],
    [
      "another region's certificate",
      { region: "eu-west-1", publicChat: { certificate, allowedCidrs: ["10.0.0.0/8"] } },
      /^aws\.publicChat\.certificate: must be the ARN of a certificate in aws\.region, .*, got "arn:aws:acm:us-east-1/,
    ],
  ])("refuses %s", (_what, settings, sentence) => {
    expect(sentences(settings)).toEqual([expect.stringMatching(sentence)]);
  });

  it("wants 0.0.0.0/0 said twice, and takes it then", () => {
    for (const block of ["0.0.0.0/0", "::/0", "128.0.0.0/1"]) {
      const open = { certificate, allowedCidrs: ["203.0.113.0/24", block] };
      expect(sentences({ publicChat: open })).toEqual([
        `aws.publicChat.allowedCidrs: must not be the open internet, unless \`aws.publicChat.everyone: true\` says so too, got ["203.0.113.0/24","${block}"].`,
      ]);
      expect(sentences({ publicChat: { ...open, everyone: true } })).toEqual([]);
    }
    expect(sentences({ publicChat: { certificate, allowedCidrs: ["203.0.113.0/24", "2001:db8::/32"] } })).toEqual([]);
  });

  it("a block is open by its length alone", () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(byte, byte, fc.integer({ min: 0, max: 32 }), (a, b, length) => {
        const block = `${String(a)}.${String(b)}.0.0/${String(length)}`;
        expect(isWorldOpen(block)).toBe(length < 8);
        expect(sentences({ publicChat: { certificate, allowedCidrs: [block] } })).toHaveLength(length < 8 ? 1 : 0);
      }),
      { numRuns: 40 },
    );
  });
});
