import { RunError } from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { stringify } from "yaml";
import { violations } from "../../policies/pack.ts";
import { leaseTags } from "../../recipe/aws/lease.ts";
import { tagsFor } from "../../recipe/aws/tags.ts";
import { kubeconfigOf } from "../../recipe/eks/kubeconfig.ts";
import { type CloudVolume, type Declared, ofAws, only } from "./aws-cloud.ts";
import { asked, declareEks, type EksAccount, emptyAccount } from "./eks-cloud.ts";
import { eksExperiment, givenCluster, shippedEks } from "./eks-shipped.ts";
import { findingsIn, type Manifest } from "./kubernetes-rules.ts";

const now = new Date("2026-11-27T12:00:30Z");

beforeEach(() => {
  vi.useFakeTimers({ now, toFake: ["Date"] });
  return () => vi.useRealTimers();
});

/** Inputs of all that is declared in AWS and on the cluster, as text for people. */
function picture(all: readonly Declared[]): string {
  const shown = all.filter(({ type }) => /^(aws|kubernetes|pulumi:providers):/.test(type));
  const entries = shown.map(({ type, name, inputs: { id, ...inputs } }) => {
    expect([type.startsWith("aws:"), id !== undefined]).toEqual([type.startsWith("aws:"), type.startsWith("aws:")]);
    return { type, name, inputs };
  });
  const order = ({ type, name }: { type: string; name: string }) => `${type} ${name}`;
  return stringify(
    entries.toSorted((a, b) => (order(a) < order(b) ? -1 : 1)),
    { sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false },
  );
}

const kinds = (all: readonly Declared[]) => all.map(({ type }) => type.split(":").at(-1));
const inVpc = { endpoint: "private", vpc: "vpc-0aaaaaaaaaaaaaaaa", allowedCidrs: ["10.20.0.0/16"] };
const subnets = { "us-east-1a": ["subnet-a"], "us-east-1b": ["subnet-b"] };

describe("the shipped experiment", () => {
  it("declares what it always did", async () => {
    const all = await declareEks(eksExperiment(), { stack: shippedEks });
    await expect(picture(all)).toMatchFileSnapshot(`eks-declared/${shippedEks}.txt`);
  });

  it("keeps every rule of the policy pack, and so does one in a VPC that is there", async () => {
    for (const eks of [{}, inVpc, { owner: "me@example.com", version: 1.34, diskSizeGiB: 200 }]) {
      const all = ofAws(await declareEks(eksExperiment({ eks }), { there: { ...emptyAccount, subnets } }));
      expect(all.length).toBeGreaterThan(20);
      expect(violations(all)).toEqual([]);
    }
  });

  it("keeps the rules for what is on a cluster", async () => {
    const all = await declareEks(eksExperiment());
    const manifests = all.filter(({ type }) => type.startsWith("kubernetes:") && !type.startsWith("kubernetes:helm"));
    const findings = findingsIn(manifests.map(({ inputs }) => inputs as unknown as Manifest));
    // Its Pods are those of commands, which make them themselves.
    expect(findings).toEqual([{ rule: "policy-without-pods", object: "NetworkPolicy exp-agent" }]);
  });

  it("asks the node for no more than it has beside the cluster's own Pods and an agent", async () => {
    const job = only(await declareEks(eksExperiment()), "Job");
    const text = JSON.stringify(job.inputs);
    // g6.2xlarge has 8 vCPUs and 32 GiB.
    expect(text).toContain('"requests":{"cpu":"5","memory":"24Gi","nvidia.com/gpu":"1"}');
    expect(text).toContain('"tolerations":[{"effect":"NoSchedule","key":"nvidia.com/gpu","operator":"Exists"}]');
    const stated = eksExperiment({ kubernetes: { cpu: 2, memory: "20Gi", endpoint: { strategy: "Recreate" } } });
    expect(JSON.stringify(only(await declareEks(stated), "Job").inputs)).toContain('"cpu":"2","memory":"20Gi"');
  });
});

describe("what comes after what", () => {
  it("what is on the cluster comes after its nodes, and our resources after their end is declared", async () => {
    const all = await declareEks(eksExperiment());
    const at = (kind: string) => kinds(all).indexOf(kind);
    for (const kind of ["Namespace", "StorageClass", "PersistentVolume", "Release"]) {
      expect(at(kind), kind).toBeGreaterThan(at("NodeGroup"));
    }
    expect(at("PersistentVolumeClaim")).toBeGreaterThan(at("PersistentVolume"));
    // No node runs without an end, also where `up` is killed in between.
    expect(at("NodeGroup")).toBeGreaterThan(at("Schedule"));
    const ours = all.findIndex(({ type }) => type === "tuneup-host:index:Environment");
    for (const kind of ["NodeGroup", "Schedule", "Release", "PersistentVolumeClaim"]) {
      expect(ours, kind).toBeGreaterThan(at(kind));
    }
  });

  it("the host is known by the cluster's name alone", async () => {
    const all = await declareEks(eksExperiment());
    const host = { region: "us-east-1", name: "tuneup-exp", nodes: { group: "gpu", stack: "exp" } };
    for (const { inputs } of all.filter(({ type }) => type.startsWith("tuneup-host:"))) {
      expect(inputs["host"]).toMatchObject({ kind: "kubernetes", eks: host, claim: "tuneup-data" });
    }
  });
});

describe("the version", () => {
  const versionOf = async (there: Partial<EksAccount>) => {
    const all = await declareEks(eksExperiment(), { there: { ...emptyAccount, ...there } });
    return only(all, "Cluster").inputs["version"];
  };

  it("is the file's, and that of a cluster that AWS moved on: none goes back", async () => {
    expect(await versionOf({})).toBe("1.35");
    expect(await versionOf({ clusters: ["tuneup-exp"], version: "1.34" })).toBe("1.35");
    expect(await versionOf({ clusters: ["tuneup-exp"], version: "1.36" })).toBe("1.36");
  });
});

describe("who reaches the cluster's API", () => {
  it("its VPC, and the addresses that are named", async () => {
    const { inputs } = only(await declareEks(eksExperiment()), "Cluster");
    expect(inputs["vpcConfig"]).toMatchObject({ endpointPublicAccess: true, publicAccessCidrs: ["203.0.113.7/32"] });
  });

  it("only its VPC and what is connected with it, where it is private", async () => {
    const all = await declareEks(eksExperiment({ eks: inVpc }), { there: { ...emptyAccount, subnets } });
    const { inputs } = only(all, "Cluster");
    const vpcConfig = { subnetIds: ["subnet-a", "subnet-b"], endpointPrivateAccess: true, endpointPublicAccess: false };
    expect(inputs["vpcConfig"]).toEqual(vpcConfig);
    expect(only(all, "SecurityGroupIngressRule").inputs).toMatchObject({
      ...{ cidrIpv4: "10.20.0.0/16", fromPort: 443, toPort: 443, securityGroupId: "sg-cluster" },
    });
    for (const kind of ["Vpc", "NatGateway", "Subnet"]) expect(kinds(all)).not.toContain(kind);
  });
});

const kept: CloudVolume = {
  ...{ id: "vol-0fedcba9876543210", availabilityZone: "us-east-1a", size: 300, volumeType: "gp3", encrypted: true },
  ...{ tags: { ...tagsFor("exp", { expiry: "kept" }), "tuneup:volume": "data" }, status: "available" },
};

describe("the volume", () => {
  it("is kept, and the one that is there is adopted and the cluster told of it", async () => {
    const all = await declareEks(eksExperiment(), { there: { ...emptyAccount, volumes: [kept] } });
    expect(only(all, "Volume")).toMatchObject({ adopts: kept.id, inputs: { size: 300 } });
    const fresh = await declareEks(eksExperiment());
    expect(only(fresh, "Volume")).toMatchObject({ adopts: "", inputs: { size: 100, encrypted: true } });
    const { spec } = only(fresh, "PersistentVolume").inputs as { spec: object };
    expect(spec).toMatchObject({
      csi: { volumeHandle: "vol-0123456789abcdef0" },
      persistentVolumeReclaimPolicy: "Retain",
    });
    const claim = only(fresh, "PersistentVolumeClaim").inputs as { spec: object };
    expect(claim.spec).toMatchObject({ volumeName: "tuneup-data", storageClassName: "tuneup-gp3" });
  });
});

describe("the lease", () => {
  const endOf = (all: readonly Declared[]) => only(all, "Schedule").inputs["scheduleExpression"];
  const with_ = (wanted: number, tags: Readonly<Record<string, string>>): EksAccount => ({
    ...emptyAccount,
    ...{ clusters: ["tuneup-exp"], nodes: { wanted, tags } },
  });
  const tags = leaseTags({ expiry: "2026-11-27T14:00:00Z", hours: 12 });

  it("begins with the nodes, does not move, and begins anew where they have ended", async () => {
    expect(endOf(await declareEks(eksExperiment()))).toBe("at(2026-11-28T00:01:00)");
    expect(endOf(await declareEks(eksExperiment(), { there: with_(1, tags) }))).toBe("at(2026-11-27T14:00:00)");
    const again = await declareEks(eksExperiment(), { there: with_(0, tags) });
    expect(endOf(again)).toBe("at(2026-11-28T00:01:00)");
    expect(only(again, "NodeGroup").inputs).toMatchObject({
      scalingConfig: { minSize: 0, maxSize: 1, desiredSize: 1 },
      tags: { "tuneup:expiry": "2026-11-28T00:01:00Z", "tuneup:lease-hours": "12" },
    });
  });

  it("begins anew where it is over and they run all the same: its end did not come", async () => {
    const over = leaseTags({ expiry: "2026-11-27T12:00:00Z", hours: 12 });
    expect(endOf(await declareEks(eksExperiment(), { there: with_(1, over) }))).toBe("at(2026-11-28T00:01:00)");
  });

  it("ends them from outside, by a role that can do nothing else", async () => {
    const all = await declareEks(eksExperiment());
    const { target } = only(all, "Schedule").inputs as { target: { arn: string; input: string } };
    expect(target.arn).toBe("arn:aws:scheduler:::aws-sdk:eks:updateNodegroupConfig");
    expect(JSON.parse(target.input)).toEqual({
      ...{ ClusterName: "tuneup-exp", NodegroupName: "gpu" },
      ScalingConfig: { MinSize: 0, MaxSize: 1, DesiredSize: 0 },
    });
    const policy = JSON.parse(String(only(all, "RolePolicy", "tuneup-exp-lease").inputs["policy"])) as object;
    expect(policy).toMatchObject({
      Statement: [
        { Action: "eks:UpdateNodegroupConfig", Resource: "arn:aws:eks:us-east-1:*:nodegroup/tuneup-exp/gpu/*" },
      ],
    });
  });
});

describe("a run that is finished and not to be served", () => {
  const config = () => eksExperiment({ teardown: "after-training" });
  const isFinished = () => Promise.resolve(true);
  const last = ["RunCompletion"];

  it("gets no cluster where there is none, and keeps its volume", async () => {
    const all = await declareEks(config(), { isFinished, last });
    expect(kinds(ofAws(all))).toEqual(["Volume"]);
    const host = all.find(({ type }) => type === "tuneup-host:index:SftJob")?.inputs["host"];
    expect(host).toMatchObject({ resting: true });
  });

  it("has its nodes scaled to none where there is one, and nothing on it trains or serves", async () => {
    const there = { ...emptyAccount, clusters: ["tuneup-exp"], nodes: { wanted: 0, tags: {} } };
    const all = await declareEks(config(), { there, isFinished, last: [...last, "PersistentVolumeClaim"] });
    expect(only(all, "NodeGroup").inputs).toMatchObject({ scalingConfig: { desiredSize: 0 } });
    for (const kind of ["Schedule", "Job", "Deployment"]) expect(kinds(all)).not.toContain(kind);
    expect(violations(ofAws(all))).toEqual([]);
  });

  const tags = leaseTags({ expiry: "2026-11-27T14:00:00Z", hours: 12 });
  const running = { ...emptyAccount, clusters: ["tuneup-exp"], nodes: { wanted: 1, tags } };

  it("has a node that still runs ended, and one that is not finished gets one", async () => {
    const ended = await declareEks(config(), { there: running, isFinished, last });
    expect(only(ended, "NodeGroup").inputs).toMatchObject({ scalingConfig: { desiredSize: 0 } });
    const begun = await declareEks(config(), { last });
    expect(only(begun, "NodeGroup").inputs).toMatchObject({ scalingConfig: { desiredSize: 1 } });
  });

  it("keeps its node as long as the lease lasts, where that was asked for", async () => {
    const keeps = eksExperiment({ teardown: "keep", serve: { enabled: false } });
    const all = await declareEks(keeps, { there: running, isFinished, last });
    expect(only(all, "NodeGroup").inputs).toMatchObject({ scalingConfig: { desiredSize: 1 } });
    expect(only(all, "Schedule").inputs["scheduleExpression"]).toBe("at(2026-11-27T14:00:00)");
  });

  it("tells its host whether the nodes end with the run", async () => {
    const nodesOf = async (teardown: string) => {
      const all = await declareEks(eksExperiment({ teardown }), { last });
      const host = all.find(({ type }) => type === "tuneup-host:index:SftJob")?.inputs["host"];
      return (host as { eks: { nodes: object } }).eks.nodes;
    };
    expect(await nodesOf("after-training")).toEqual({ group: "gpu", stack: "exp", endWithRun: true });
    expect(await nodesOf("keep")).toEqual({ group: "gpu", stack: "exp" });
  });
});

describe("a cluster that is there", () => {
  const last = ["Deployment", "Service", "PodDisruptionBudget"];

  it("is taken as it is: nothing is made in AWS", async () => {
    const there = { ...emptyAccount, clusters: ["team", "other"] };
    const all = await declareEks(givenCluster({ name: "team", region: "us-east-1" }), { there, last });
    expect(ofAws(all)).toEqual([]);
    const access = { region: "us-east-1", name: "team", endpoint: "https://given.example", authority: "Q0E=" };
    const provider = all.find(({ type }) => type === "pulumi:providers:kubernetes");
    expect(provider?.inputs["kubeconfig"]).toBe(kubeconfigOf(access));
    const claim = only(all, "PersistentVolumeClaim").inputs as { spec: object };
    expect(claim.spec).not.toHaveProperty("volumeName");
    expect(asked.map(({ token }) => token.split(":").at(-1))).toEqual(["getClusters", "getCluster"]);
  });
});

describe("what does not fit is one sentence", () => {
  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "no such cluster",
      () => declareEks(givenCluster({ name: "team" }), { there: { ...emptyAccount, clusters: ["b", "a"] } }),
      /^tuneup:eks\.name: there is no cluster team in us-east-1\. It has a, b\. /,
    ],
    [
      "a cluster of that name which is not the stack's",
      () =>
        declareEks(eksExperiment(), {
          there: { ...emptyAccount, clusters: ["tuneup-exp"], clusterTags: tagsFor("other") },
        }),
      /^tuneup:eks: there is a cluster tuneup-exp in us-east-1 that tuneup did not make for exp /,
    ],
    [
      "one zone",
      () => declareEks(eksExperiment(), { there: { ...emptyAccount, zones: ["us-east-1a"] } }),
      /^tuneup:eks\.region: us-east-1 has no zone beside us-east-1a /,
    ],
    [
      "a VPC with one private subnet",
      () =>
        declareEks(eksExperiment({ eks: inVpc }), {
          there: { ...emptyAccount, subnets: { "us-east-1a": ["subnet-a"] } },
        }),
      /^tuneup:eks\.vpc: vpc-0a+ has no private subnet in a zone beside us-east-1a,/,
    ],
    [
      "a volume elsewhere",
      () =>
        declareEks(eksExperiment(), {
          there: { ...emptyAccount, volumes: [{ ...kept, availabilityZone: "us-east-1b" }] },
        }),
      /^tuneup:eks\.zone: the volume vol-0fedcba9876543210 with the data of exp is in us-east-1b,/,
    ],
  ])("%s", async (_what, run, sentence) => {
    const failure: unknown = await run().catch((thrown: unknown) => thrown);
    expect(RunError.isInstance(failure)).toBe(true);
    expect((failure as Error).message).toMatch(sentence);
  });
});
