import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { describe, expect, it } from "vitest";
import { checkConfig } from "../../checks/experiment.ts";
import { instanceType } from "../../recipe/aws/instance-types.ts";
import type { CheckFinding } from "../../recipe/check-report.ts";
import measured from "../../recipe/estimates/measured.json" with { type: "json" };
import { readPins } from "../../recipe/pins.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const context = { home: "/nowhere", pins: readPins(undefined, "none") };

async function shipped(): Promise<Record<string, unknown>> {
  const text = await readFile(`${root}stacks/Pulumi.aws-qwen2.5-7b.yaml`, "utf8");
  const { config } = parse(text) as { config: Record<string, unknown> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("tuneup:", ""), value]));
}

type Values = Readonly<Record<string, unknown>>;

/** What is found about the shipped experiment with `change`; of maps, `train` and `aws` are added to. */
async function found(change: Values = {}): Promise<CheckFinding[]> {
  const stated = await shipped();
  const { train = {}, aws = {}, ...rest } = change;
  const merged = (key: string, more: unknown): Values => ({ ...(stated[key] as Values), ...(more as Values) });
  return checkConfig({ ...stated, ...rest, train: merged("train", train), aws: merged("aws", aws) }, root, context);
}

const errors = (findings: readonly CheckFinding[]): CheckFinding[] => findings.filter(({ level }) => level === "error");
const by = (findings: readonly CheckFinding[], code: string): CheckFinding | undefined =>
  findings.find((finding) => finding.code === code);

describe("the shipped experiment for aws", () => {
  it("gets a machine, its price, hours and disk, each with figure, limit and basis", async () => {
    const findings = await found();
    expect(errors(findings)).toEqual([]);
    const figures = { figure: expect.any(Number) as number, basis: expect.any(String) as string };
    expect(by(findings, "aws-machine")).toMatchObject({
      ...figures,
      limit: expect.any(Number) as number,
      unit: "bytes",
    });
    expect(by(findings, "aws-machine")?.message).toMatch(/^g6\.xlarge with 1 x L4, 4 vCPUs and 16 GiB at 0\.8048 USD/);
    expect(by(findings, "aws-volume")).toMatchObject({ ...figures, limit: 30 * 2 ** 30, unit: "bytes" });
    expect(by(findings, "aws-price")).toMatchObject({ ...figures, unit: "USD" });
    expect(by(findings, "aws-lease")).toMatchObject({ ...figures, unit: "USD" });
    expect(by(findings, "time-estimated")).toMatchObject({ ...figures, unit: "seconds" });
    expect(by(findings, "time-estimated")?.message).toMatch(/on L4 of g6\.xlarge/);
  });

  it("agrees with the estimates' table: what was measured for these settings fits into the proposed card", async () => {
    const row = measured.settings.find(
      ({ model, batch, cutoff, rows, arguments: given }) =>
        model === "Qwen2.5-7B" && batch === 1 && cutoff === 1024 && rows === "full" && Object.keys(given).length === 0,
    );
    const machine = by(await found(), "aws-machine");
    const peak = row?.peakBytes ?? NaN;
    expect(Math.abs(machine!.figure! / peak - 1)).toBeLessThan(0.02);
    expect(peak).toBeLessThan(0.95 * machine!.limit!);
    expect(machine!.limit).toBe(Math.round(instanceType("g6.xlarge")!.gpuMemoryBytes));
  });

  it("says one price everywhere", async () => {
    const findings = await found();
    const seconds = by(findings, "time-estimated")!.figure!;
    expect(by(findings, "price-estimated")!.figure).toBeCloseTo((seconds / 3600) * 0.8048, 1);
    expect(by(findings, "aws-price")!.figure).toBeCloseTo(0.8048 * 730 + 30 * 0.08 + (3 * 0.01 + 0.05) * 730, 1);
    expect(by(findings, "aws-lease")!.figure).toBeCloseTo((12 / 730) * by(findings, "aws-price")!.figure!, 1);
    // What the lease does not end is said as well.
    expect(by(findings, "aws-lease")!.message).toMatch(
      /its network stays until `npx tuneup down`, at 58\.40 USD a month;/,
    );
  });
});

describe("a machine for aws", () => {
  it.each<[string, Values, string]>([
    ["full training in bf16", { train: { finetuning_type: "full", pure_bf16: true } }, "p5.4xlarge"],
    ["the user's order", { aws: { instanceTypes: ["g6e.xlarge", "g5.xlarge"] } }, "g6e.xlarge"],
    ["a card", { compute: { gpu: "A10G" } }, "g5.xlarge"],
    ["QLoRA in fp16", { train: { quantization_bit: 4, bf16: false, fp16: true } }, "g4dn.xlarge"],
  ])("for %s", async (_what, change, name) => {
    const findings = await found({ ...change, budget: { diskGB: 500 } });
    expect(errors(findings)).toEqual([]);
    expect(by(findings, "aws-machine")?.message.split(" ")[0]).toBe(name);
  });

  it.each<[string, Values, string, RegExp, RegExp]>([
    [
      "types that are too small",
      { aws: { instanceTypes: ["g4dn.xlarge", "g5.xlarge"] }, train: { per_device_train_batch_size: 8 } },
      "aws.instanceTypes",
      /^names nothing that fits: g4dn\.xlarge \(T4 has no bf16\), g5\.xlarge \(a card has 24\.0 GB\); training needs 3\d\.\d GB/,
      /^Add g6e\.xlarge \(1\.861 USD an hour\)/,
    ],
    [
      "a card that EC2 lacks",
      { compute: { gpu: "RTX-4090" } },
      "compute.gpu",
      /one of T4, .*; got "RTX-4090"/,
      /^Take it/,
    ],
    [
      "more than there is",
      { train: { finetuning_type: "full", per_device_train_batch_size: 64 } },
      "target",
      /^no known instance type fits: training needs \d+\.\d GB of a card; the largest .*, p5en\.48xlarge, has 8 x H200/,
      /said beside the memory/,
    ],
  ])("refuses %s", async (_what, change, property, message, next) => {
    const findings = await found(change);
    const none = by(findings, "aws-machine-none");
    expect(none).toMatchObject({ level: "error", property });
    expect(none?.message).toMatch(message);
    expect(none?.next).toMatch(next);
    expect(by(findings, "aws-price")).toBeUndefined();
  });

  it("refuses a volume that is too small, and a lease that ends before the training", async () => {
    const findings = await found({
      train: { max_steps: 2000 },
      aws: { volume: { sizeGiB: 10 }, lease: { hours: 1, usd: 0.5 } },
    });
    expect(errors(findings).map(({ code, property }) => [code, property])).toEqual([
      ["aws-volume-small", "aws.volume.sizeGiB"],
      ["aws-lease-short", "aws.lease.hours"],
      ["aws-lease-short", "aws.lease.usd"],
    ]);
    expect(by(findings, "aws-volume-small")?.next).toBe("Set it to 30 or to auto.");
  });

  it("warns of another region's prices until one is stated", async () => {
    const region = { region: "eu-west-1", zone: "eu-west-1a" };
    expect(by(await found({ aws: region }), "aws-region")).toMatchObject({ level: "warning", property: "aws.region" });
    const stated = await found({ aws: region, compute: { pricePerHour: 2 } });
    expect(by(stated, "aws-region")).toBeUndefined();
    expect(by(stated, "aws-price")?.message).toContain("machine 1460.00");
    expect(by(stated, "price-estimated")?.basis).toBe("compute.pricePerHour");
  });

  it("warns of weights in a bucket that a machine of spot capacity may not read by itself", async () => {
    const model = { source: "s3", id: "s3://weights/qwen" };
    const warned = by(await found({ model, aws: { spot: true } }), "aws-spot-weights");
    expect(warned).toMatchObject({ level: "warning", property: "model.id" });
    expect(warned?.message).toContain("s3://weights/qwen");
    expect(by(await found({ model }), "aws-spot-weights")).toBeUndefined();
    expect(by(await found({ aws: { spot: true } }), "aws-spot-weights")).toBeUndefined();
  });

  it("counts the load balancer of a public chat", async () => {
    const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b";
    const publicChat = { certificate, allowedCidrs: ["203.0.113.0/24"] };
    expect(by(await found({ aws: { publicChat } }), "aws-price")?.message).toContain("load balancer 29.57");
  });
});
