import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isWorldOpen } from "../../../recipe/aws/config.ts";
import { eks } from "../../../recipe/eks/config.ts";
import { clusterName } from "../../../recipe/eks/names.ts";
import { clusterVersions, isSupported, usualVersion } from "../../../recipe/eks/versions.ts";
import { Fault } from "../../../recipe/fault.ts";
import { placeOf } from "../../../recipe/host.ts";
import { readRunnableExperiment } from "../../../recipe/runnable-experiment.ts";
import { hostSpecOf } from "../../../recipe/target-host.ts";
import { eksExperiment, eksValues } from "../../components/eks-shipped.ts";

const allowedCidrs = ["203.0.113.7/32"];

function sentences(changes: Readonly<Record<string, unknown>>, only = false): string[] {
  const values = only ? { ...eksValues(), ...changes } : eksValues(changes);
  const { faults = [] } = readRunnableExperiment(values, "/project");
  return faults.map((fault) => new Fault(fault).sentence);
}

describe("tuneup:eks", () => {
  it("has a default for everything but who reaches the API", () => {
    expect(eks.parse({ allowedCidrs })).toEqual({
      ...{ region: "us-east-1", version: "1.35", endpoint: "private", vpc: "own", gpuMemoryGiB: "auto" },
      ...{ diskSizeGiB: 100, lease: { hours: 24 }, allowedCidrs },
    });
  });

  it("takes what YAML and `pulumi config set --path` make of it", () => {
    const stated = { allowedCidrs, version: 1.35, diskSizeGiB: "200", gpuMemoryGiB: "22.5", lease: { hours: "3" } };
    expect(eks.parse(stated)).toMatchObject({
      ...{ version: "1.35", diskSizeGiB: 200, gpuMemoryGiB: 22.5, lease: { hours: 3 } },
    });
  });

  it.each<[string, object, RegExp]>([
    ["no addresses", { allowedCidrs: undefined }, /^eks\.allowedCidrs: (must say|is required)/],
    ["the internet", { allowedCidrs: ["0.0.0.0/0"] }, /^eks\.allowedCidrs: must not be the open internet, got /],
    ["IPv6", { allowedCidrs: ["2001:db8::/32"] }, /^eks\.allowedCidrs: must be blocks of IPv4, got /],
    [
      "an old version",
      { version: "1.30" },
      /^eks\.version: must be a version of Kubernetes that EKS supports: 1\.34, /,
    ],
    ["another region's zone", { zone: "eu-west-1a" }, /^eks\.zone: must be a zone of eks\.region, got "eu-west-1a"/],
    ["a key", { nodes: 2 }, /^eks\.nodes: is not a config key\. Allowed here: region, name, /],
    ["a small disk", { diskSizeGiB: 20 }, /^eks\.diskSizeGiB: must be at least 40, got 20\./],
    ["the default VPC", { vpc: "default" }, /^eks\.vpc: must be own, or the id of a VPC/],
    [
      "an own private one",
      { endpoint: "private" },
      /^eks\.endpoint: must be public with `eks\.vpc: own`: .*`endpoint: public`/,
    ],
    [
      "a cluster that is there, and addresses",
      { name: "team" },
      /^eks\.allowedCidrs: has no meaning for the cluster team,/,
    ],
  ])("refuses %s", (_what, change, sentence) => {
    expect(sentences({ eks: change })[0]).toMatch(sentence);
  });

  it.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    [
      "several nodes",
      { compute: { nodes: 2 } },
      /^compute\.nodes: must be 1 on a cluster that tuneup makes, .*, got 2\./,
    ],
    ["several cards", { compute: { gpusPerNode: 4 } }, /^compute\.gpusPerNode: must be 1 on a cluster .*, got 4\./],
    ["a CPU", { compute: { device: "cpu" } }, /^compute\.device: must ask for a GPU on a cluster that tuneup makes/],
    [
      "a class",
      { kubernetes: { volume: { storageClassName: "fast" } } },
      /^kubernetes\.volume\.storageClassName: must be left out/,
    ],
    ["a context", { kubernetes: { context: "mine" } }, /^kubernetes\.context: has no meaning for the target eks,/],
    [
      "an ssh host",
      { compute: { host: "gpu" } },
      /^compute\.host: has no meaning for the target eks, whose cluster is one of EKS\. Name it by `tuneup:eks: \{name: NAME\}`/,
    ],
    ["an idle end", { teardown: "after-idle" }, /^teardown\.when: must be keep or after-training for the target eks/],
    [
      "a card that is too small",
      { eks: { instanceTypes: ["g4dn.xlarge"] } },
      /^eks: no known instance type fits this training\./,
    ],
    [
      "a model that is not bundled",
      { model: { source: "hub", id: "some/other" }, eks: { instanceTypes: undefined } },
      /^eks\.instanceTypes: is needed for some\/other, .*Say `eks\.instanceTypes` and `kubernetes\.volume\.size`/,
    ],
  ])("an experiment on it refuses %s", (_what, changes, sentence) => {
    expect(sentences(changes).join("\n")).toMatch(new RegExp(sentence.source, "m"));
  });

  it("is required, or the name of a cluster is", () => {
    expect(sentences({ eks: undefined }, true)[0]).toMatch(
      /^eks: is required with `tuneup:target: eks`\. Say who reaches/,
    );
    expect(sentences({ eks: { name: "team" } }, true)).toEqual([]);
  });

  it("lets nobody in who is the open internet, whatever is named", () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const block = fc
      .tuple(byte, byte, byte, byte, fc.integer({ min: 0, max: 32 }))
      .map(([a, b, c, d, length]) => `${a}.${b}.${c}.${d}/${length}`);
    fc.assert(
      fc.property(
        fc.array(block, { minLength: 1, maxLength: 4 }),
        fc.constantFrom("private", "public"),
        (all, endpoint) => {
          expect(eks.safeParse({ allowedCidrs: all, endpoint }).success).toBe(!all.some(isWorldOpen));
        },
      ),
    );
  });
});

describe("the table of versions", () => {
  it("has the usual one, in order, with dates", () => {
    expect(clusterVersions.map(({ name }) => name)).toContain(usualVersion);
    const minors = clusterVersions.map(({ name }) => Number(name.split(".")[1]));
    expect(minors).toEqual(minors.toSorted((a, b) => a - b));
    for (const { until } of clusterVersions) expect(new Date(until).toISOString().slice(0, 10)).toBe(until);
  });

  it("supports what is in it and what is newer, and nothing else", () => {
    for (const version of ["1.34", "1.35", "1.36", "1.100"]) expect(isSupported(version), version).toBe(true);
    for (const version of ["1.33", "1.3", "2.0", "v1.35", "1.35.1", ""])
      expect(isSupported(version), version).toBe(false);
  });
});

describe("the host", () => {
  it("is found by region and cluster's name, which every stack has of its own", () => {
    const mine = hostSpecOf(eksExperiment(), {}, "exp");
    expect(mine).toMatchObject({
      ...{ kind: "kubernetes", storageClassName: "tuneup-gp3", claimBytes: 100 * 2 ** 30 },
      eks: { region: "us-east-1", name: "tuneup-exp", nodes: { group: "gpu", stack: "exp" } },
    });
    expect(mine).not.toHaveProperty("context");
    expect(placeOf(mine)).not.toBe(placeOf(hostSpecOf(eksExperiment(), {}, "other")));
    // A longer lease is the same place.
    expect(placeOf(mine)).toBe(placeOf(hostSpecOf(eksExperiment({ eks: { lease: { hours: 1 } } }), {}, "exp")));
  });

  it("has a name that EKS takes, whatever the stack's is", () => {
    const stacks = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/);
    fc.assert(
      fc.property(stacks, (stack) => {
        expect(clusterName(stack)).toMatch(/^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$/);
      }),
    );
  });
});
