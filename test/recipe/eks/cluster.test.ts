import { KubeConfig } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { instanceTypes } from "../../../recipe/aws/instance-types.ts";
import { monthHours } from "../../../recipe/aws/prices.ts";
import { gpuToleration, onNode, onOwnCluster } from "../../../recipe/eks/cluster-config.ts";
import { kubeconfigOf } from "../../../recipe/eks/kubeconfig.ts";
import { clusterCost, nodeLeaseHours } from "../../../recipe/eks/prices.ts";
import { clusterProvision } from "../../../recipe/eks/provision.ts";
import { eksWords } from "../../../recipe/eks/words.ts";
import { amountOf, kubernetes } from "../../../recipe/kubernetes/config.ts";
import { eksExperiment } from "../../components/eks-shipped.ts";

describe("the kubeconfig", () => {
  const access = { region: "eu-west-1", name: "team", endpoint: "https://api.example", authority: "Q0E=" };

  it("is one that Kubernetes' own client takes, and has no secret", () => {
    const config = new KubeConfig();
    config.loadFromString(kubeconfigOf(access));
    expect(config.getCurrentContext()).toBe("team");
    expect(config.getCurrentCluster()).toMatchObject({ server: "https://api.example", caData: "Q0E=" });
    const { exec, token, certData } = config.getCurrentUser() as {
      exec: { command: string; args: string[] };
      token?: string;
      certData?: string;
    };
    expect([token, certData]).toEqual([undefined, undefined]);
    expect([exec.command, ...exec.args].join(" ")).toBe(
      "aws --region eu-west-1 eks get-token --cluster-name team --output json",
    );
  });

  it("is the same text each time: Pulumi would make everything on another cluster anew", () => {
    expect(kubeconfigOf(access)).toBe(kubeconfigOf({ ...access }));
  });
});

describe("Pods on a node of our own", () => {
  const usual = kubernetes.parse({});

  it.each(instanceTypes.map(({ name, ...type }) => [name, { name, ...type }] as const))(
    "%s has room for one that trains and one of the agent",
    (_name, type) => {
      const { cpu, cpuRequest = cpu, memory } = onNode(usual, type);
      // What the kubelet and the cluster's own Pods take is at least a twentieth and 2 GiB.
      const left = type.ramGiB * 0.95 - amountOf(memory) / 2 ** 30;
      expect(left).toBeGreaterThanOrEqual(6);
      expect(left).toBeLessThan(7);
      expect(amountOf(memory)).toBeGreaterThanOrEqual(8 * 2 ** 30);
      expect(Number(cpu)).toBe(type.vcpus);
      expect(type.vcpus - Number(cpuRequest)).toBe(3);
    },
  );

  it("take what the file says instead", () => {
    const stated = kubernetes.parse({ cpu: 2, memory: "10Gi", tolerations: [{ key: "team", operator: "Exists" }] });
    expect(onNode(stated, instanceTypes[0]!)).toMatchObject({
      ...{ cpu: "2", memory: "10Gi", tolerations: [{ key: "team", operator: "Exists" }, gpuToleration] },
    });
  });

  it("tolerate the nodes' taint once", () => {
    const twice = onOwnCluster(onOwnCluster(usual));
    expect(twice.tolerations).toEqual([gpuToleration]);
  });
});

describe("what a cluster costs", () => {
  const billed = { nodeHour: 1, nodeDiskGiB: 100, volumeGiB: 200, ownVpc: true };

  it("is the sum of its parts, and says the control plane", () => {
    const cost = clusterCost(billed);
    expect(cost.parts).toEqual({
      ...{ node: 730, "its disk": 8, "control plane": 73, "NAT gateway": expect.closeTo(36.5, 6) as number },
      ...{ key: 1, volume: 16 },
    });
    const sum = Object.values(cost.parts).reduce((all, usd) => all + usd, 0);
    expect(cost.month).toBeCloseTo(sum, 6);
    expect(cost.hour).toBeCloseTo(cost.month / monthHours, 9);
    expect(cost.idle).toBeCloseTo(sum - 738, 6);
    expect(cost.kept).toBe(16);
  });

  it("has no gateway in a VPC that is there", () => {
    expect(clusterCost({ ...billed, ownVpc: false }).parts).not.toHaveProperty("NAT gateway");
  });

  it("bounds the lease by money, never beyond its hours", () => {
    const cost = clusterCost(billed);
    expect(nodeLeaseHours({ lease: { hours: 10 } }, cost)).toBe(10);
    const hours = nodeLeaseHours({ lease: { hours: 10, usd: 3 } }, cost);
    expect(hours * cost.hour).toBeLessThanOrEqual(3);
    expect((hours + 1 / 60) * cost.hour).toBeGreaterThan(3);
    expect(nodeLeaseHours({ lease: { hours: 1, usd: 1000 } }, cost)).toBe(1);
  });
});

describe("what is provisioned", () => {
  const of = (changes = {}) => {
    const experiment = eksExperiment(changes);
    return clusterProvision(experiment, experiment.eks!);
  };

  it("is the first node that fits, and the volume of the file", () => {
    expect(of()).toMatchObject({ node: { name: "g6.2xlarge" }, volumeGiB: 100, leaseHours: 12 });
    expect(of({ eks: { instanceTypes: ["g4dn.xlarge", "g5.2xlarge"] } }).node.name).toBe("g5.2xlarge");
    expect(of({ eks: { instanceTypes: undefined } }).node.name).toBe("g6.xlarge");
    const kubernetes = { volume: { size: "101G" }, endpoint: { strategy: "Recreate" } };
    expect(of({ kubernetes }).volumeGiB).toBe(95);
  });

  it("speaks of eks and its volume where the target aws speaks of itself", () => {
    expect(eksWords("Say `aws.instanceTypes` and `aws.volume.sizeGiB`; see docs/aws.md, docs.aws.amazon.com.")).toBe(
      "Say `eks.instanceTypes` and `kubernetes.volume.size`; see docs/aws.md, docs.aws.amazon.com.",
    );
  });
});
