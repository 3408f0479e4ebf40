import { ComponentResource, type ComponentResourceOptions, type Input, type Resource } from "../provider/pulumi.ts";
import { Addon } from "@pulumi/aws/eks/addon.js";
import type { Tags } from "../recipe/aws/tags.ts";
import { gpuToleration } from "../recipe/eks/cluster-config.ts";
import { eksRole } from "./eks-role.ts";

/** What every addon is told. */
export interface EksAddonArgs {
  readonly clusterName: Input<string>;
  readonly tags: Tags;
}

/**
 * What a node needs before it is one: its network, with NetworkPolicies enforced, kube-proxy, and the agent by which Pods get roles. Each runs on every
 * node, and none where there is no node. Costs nothing.
 */
export class EksNodeAddons extends ComponentResource {
  public readonly ready: readonly Resource[];

  constructor(name: string, { clusterName, tags }: EksAddonArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksNodeAddons", name, {}, options);
    const configured = { "vpc-cni": { enableNetworkPolicy: "true" } } as Readonly<Record<string, object>>;
    this.ready = ["vpc-cni", "kube-proxy", "eks-pod-identity-agent"].map(
      (addonName) =>
        new Addon(`${name}-${addonName}`, addonArgs(addonName, { clusterName, tags }, configured[addonName]), {
          parent: this,
        }),
    );
    this.registerOutputs();
  }
}

/** Arguments of EksPodAddons. */
export interface EksPodAddonsArgs extends EksAddonArgs {
  readonly region: string;
  /** What the name of the driver's role begins with. */
  readonly roleName: string;
}

/**
 * What runs in Pods that go where there is a node: names of the cluster (CoreDNS), and the driver of EBS, which attaches the data volume. They tolerate
 * the GPU nodes' taint, since there are no others. Costs nothing.
 */
export class EksPodAddons extends ComponentResource {
  public readonly ready: readonly Resource[];

  constructor(name: string, args: EksPodAddonsArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksPodAddons", name, {}, options);
    const own = { parent: this };
    const tolerations = [{ ...gpuToleration }];
    const { region, roleName, tags } = args;
    const { role, attached } = eksRole(
      {
        ...{
          roleName: `${roleName}-ebs`,
          of: "what the driver of EBS in a cluster",
          service: "pods.eks.amazonaws.com",
        },
        ...{ region, tags, policies: { [`${name}-ebs`]: "service-role/AmazonEBSCSIDriverPolicy" } },
      },
      own,
    );
    const names = new Addon(`${name}-coredns`, addonArgs("coredns", args, { tolerations }), own);
    const driver = new Addon(
      `${name}-ebs`,
      {
        ...addonArgs("aws-ebs-csi-driver", args, { controller: { tolerations } }),
        podIdentityAssociations: [{ serviceAccount: "ebs-csi-controller-sa", roleArn: role.arn }],
      },
      { ...own, dependsOn: attached },
    );
    this.ready = [names, driver];
    this.registerOutputs();
  }
}

/** Its version is the cluster version's usual one, and an own cluster's settings are ours. */
function addonArgs(addonName: string, { clusterName, tags }: EksAddonArgs, values?: object) {
  return {
    ...{ clusterName, addonName, resolveConflictsOnCreate: "OVERWRITE", resolveConflictsOnUpdate: "OVERWRITE" },
    ...(values === undefined ? {} : { configurationValues: JSON.stringify(values) }),
    tags: { ...tags },
  };
}
