import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { checkConfig } from "../../checks/experiment.ts";
import { findingTexts } from "../../cli/language/findings.ts";
import type { CheckFinding } from "../../recipe/check-report.ts";
import { readPins } from "../../recipe/pins.ts";
import { eksValues } from "../components/eks-shipped.ts";
import { h100 } from "../fixtures/h100.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const context = { home: "/nowhere", pins: readPins(undefined, "none") };

const found = (changes: Readonly<Record<string, unknown>> = {}): Promise<CheckFinding[]> =>
  checkConfig(eksValues(changes), root, context);
const by = (findings: readonly CheckFinding[], code: string): CheckFinding | undefined =>
  findings.find((finding) => finding.code === code);
const volume = (size: string) => ({ kubernetes: { volume: { size }, endpoint: { strategy: "Recreate" } } });

describe("the shipped experiment for eks", () => {
  it("gets a node, and the price of all, the control plane's among it", async () => {
    const findings = await found();
    expect(findings.filter(({ level }) => level === "error")).toEqual([]);
    expect(by(findings, "aws-machine")?.message).toMatch(
      /^g6\.2xlarge .* is the first of eks\.instanceTypes that fits/,
    );
    expect(by(findings, "eks-price")?.message).toMatch(
      /\(node 713\.65, its disk 8\.00, control plane 73\.00, NAT gateway 36\.50, key 1\.00, volume 8\.00\)/,
    );
    expect(by(findings, "eks-price")).toMatchObject({ figure: 840.15, unit: "USD" });
    expect(by(findings, "eks-lease")?.message).toMatch(
      /^the lease ends the node after 12 h, at 13\.81 USD at most; without a node control plane and network cost 110\.50 USD a month until/,
    );
    expect(by(findings, "time-estimated")?.message).toMatch(/on L4 of g6\.2xlarge/);
  });

  it("gets the same whether its node is there or not: that tells nothing of its card", async () => {
    const gpus = [{ name: "GPU", memoryBytes: 0, driver: "" }];
    const there = await checkConfig(eksValues(), root, { ...context, host: { ...h100, gpus }, resourcesOnly: true });
    for (const code of ["aws-machine", "eks-price"]) expect(by(there, code)).toEqual(by(await found(), code));
    expect(by(there, "card-unknown")).toBeUndefined();
  });

  it.each<[string, Readonly<Record<string, unknown>>, string, string, RegExp]>([
    [
      "a small volume",
      volume("10Gi"),
      "eks-volume-small",
      "kubernetes.volume.size",
      /^is 10 GiB, and the data directory grows to/,
    ],
    [
      "a short lease",
      { eks: { lease: { hours: 0.01 } } },
      "eks-lease-short",
      "eks.lease.hours",
      /^is 0\.01 h, and training takes/,
    ],
    [
      "little money",
      { eks: { lease: { usd: 0.01 } } },
      "eks-lease-short",
      "eks.lease.usd",
      /^is 0\.01 USD, and training costs/,
    ],
    [
      "small cards",
      { eks: { instanceTypes: ["g4dn.xlarge"] } },
      "aws-machine-none",
      "eks.instanceTypes",
      /^names nothing that fits: g4dn\.xlarge/,
    ],
    [
      "a newer version",
      { eks: { version: "1.36" } },
      "eks-version",
      "eks.version",
      /^is 1\.36, which was not there when the table was made/,
    ],
    [
      "another region",
      { eks: { region: "eu-west-1", zone: "eu-west-1a" } },
      "aws-region",
      "eks.region",
      /^is eu-west-1, and the prices known/,
    ],
  ])("is told with %s", async (_what, changes, code, property, sentence) => {
    const finding = by(await found(changes), code);
    expect(finding?.property).toBe(property);
    expect(finding?.message).toMatch(sentence);
    // And in Chinese.
    const { lines, next } = findingTexts(finding!, "zh");
    for (const line of [...lines, next ?? "好"]) expect(stripVTControlCharacters(line)).toMatch(/[\u4e00-\u9fff]/);
  });
});

it("a cluster that is there proposes nothing and has no price here", async () => {
  const given = { ...eksValues(), eks: { name: "team" } };
  const findings = await checkConfig(given, root, context);
  expect(findings.filter(({ code = "" }) => /^(aws|eks)-/.test(code))).toEqual([]);
  expect(by(findings, "card-unknown")?.message).toMatch(/^The cluster does not tell which GPU/);
});
