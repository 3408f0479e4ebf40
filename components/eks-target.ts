import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  isDryRun,
  output,
  type Output,
  type Resource,
  type ResourceTransformation,
  RunError,
} from "../provider/pulumi.ts";
import { Provider as AwsProvider } from "@pulumi/aws/provider.js";
import { Provider } from "@pulumi/kubernetes/provider.js";
import { zoneOf } from "../recipe/aws/config.ts";
import { leaseEnd, leaseTags, unended } from "../recipe/aws/lease.ts";
import { resourceName } from "../recipe/aws/names.ts";
import { isServed } from "../recipe/aws/public-chat.ts";
import { tagsFor } from "../recipe/aws/tags.ts";
import { onNode, volumeName } from "../recipe/eks/cluster-config.ts";
import { type EksConfig, makesCluster } from "../recipe/eks/config.ts";
import { kubeconfigOf } from "../recipe/eks/kubeconfig.ts";
import { clusterName } from "../recipe/eks/names.ts";
import { type ClusterProvision, clusterProvision } from "../recipe/eks/provision.ts";
import { versionToDeclare } from "../recipe/eks/versions.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { Fault } from "../recipe/fault.ts";
import type { HostSpec, KubernetesHostSpec } from "../recipe/host.ts";
import type { KubernetesConfig } from "../recipe/kubernetes/config.ts";
import { machinesOf } from "../recipe/target.ts";
import { AwsVolume } from "./aws-volume.ts";
import { EksNodeAddons, EksPodAddons } from "./eks-addons.ts";
import { EksCluster } from "./eks-cluster.ts";
import { EksDevices } from "./eks-devices.ts";
import { EksLease } from "./eks-lease.ts";
import { type FoundCluster, lookUpCluster, lookUpGiven } from "./eks-lookup.ts";
import { type ClusterNetwork, EksNetwork } from "./eks-network.ts";
import { EksNodes } from "./eks-nodes.ts";
import { EksStorage } from "./eks-storage.ts";
import { adopting, KubernetesTarget } from "./kubernetes-target.ts";
import type { EndpointWorkload, Finished, Target, TrainingWorkload } from "./target-kind.ts";

/** Arguments of EksTarget. */
export interface EksTargetArgs {
  /** `tuneup:eks` of the experiment. */
  readonly config: EksConfig;
  /** `tuneup:kubernetes` of the experiment. */
  readonly kubernetes: KubernetesConfig;
  /** Name of the stack, by whose tags its volume is found. */
  readonly stack: string;
  /** How the cluster is found and reached, of the same config (`hostSpecOf`). */
  readonly host: KubernetesHostSpec;
  /** Node, volume and lease, of the same experiment (`clusterProvision`). */
  readonly provision: ClusterProvision;
  /** What is in AWS already (`lookUpCluster`). */
  readonly found: FoundCluster;
  /** The time of this `up`. */
  readonly now: Date;
  /** Is no node wanted? Then there is none, and without a cluster none is made. Default: false. */
  readonly resting?: boolean;
  /** Does a run publish to a bucket? Default: false. */
  readonly publishes?: boolean;
}

/**
 * A cluster of EKS of the stack's own, with one GPU node while a run needs it, and from there on a KubernetesTarget. Costs the control plane, the
 * network and the node (each says its own), and the volume, which `destroy` leaves alone and the next `up` adopts. When no run needs a node there is
 * none; the control plane is billed until `destroy`.
 */
export class EksTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;
  readonly training?: (workload: TrainingWorkload) => Resource;
  readonly endpoint?: (workload: EndpointWorkload) => Resource;

  constructor(name: string, args: EksTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksTarget", name, {}, options);
    const { config, host, provision, found, stack, resting = false } = args;
    const { volumeId } = new AwsVolume(
      name,
      {
        ...{ zone: zoneOf(config), sizeGiB: provision.volumeGiB, type: "gp3", found: found.volume },
        ...{ volumeName: `${resourceName(stack)}-data`, tags: tagsFor(stack, { owner: config.owner }) },
      },
      { parent: this },
    );
    if (resting && found.version === undefined) {
      this.host = output({ ...host, resting: true });
      this.registerOutputs({ host: this.host });
      return;
    }
    const { pods, ready } = this.#cluster(name, args, volumeId);
    if (resting) this.host = output({ ...host, resting: true });
    else {
      this.training = (workload) => pods.training(workload);
      this.endpoint = (workload) => pods.endpoint(workload);
      // Known at once in a preview, whose checks need it; afterwards a host as soon as the nodes and their end are there.
      const whole = all([pods.host.apply(() => ""), ...ready.map(({ urn }) => urn)]);
      this.host = isDryRun() ? output(host) : whole.apply(() => host);
    }
    this.registerOutputs({ host: this.host });
  }

  #cluster(name: string, args: EksTargetArgs, volumeId: Output<string>) {
    const { config, stack, host, provision, kubernetes } = args;
    const own = { parent: this };
    const tags = tagsFor(stack, { owner: config.owner });
    const network = this.#network(name, args);
    const inAws = clusterName(stack);
    const { subnetIds } = network;
    const version = versionToDeclare(config.version, args.found.version);
    const cluster = new EksCluster(name, { config: { ...config, version }, clusterName: inAws, subnetIds, tags }, own);
    const { nodes, ready } = this.#nodes(name, args, { cluster, network });
    const provider = new Provider(
      name,
      // What is on the cluster goes before its nodes do.
      { kubeconfig: all([cluster.kubeconfig, nodes.groupName]).apply(([text]) => text), ...adopting },
      { ...own, dependsOn: [...ready] },
    );
    // Where the cluster goes nothing on it is deleted first: `down` needs no way to its API, and no node to run on.
    const within: ResourceTransformation = ({ props, opts }) => ({
      props,
      opts: { ...opts, deletedWith: cluster.plane },
    });
    const on = { parent: this, providers: [provider], transformations: [within] };
    const devices = new EksDevices(name, on);
    const there = onNode(kubernetes, provision.node);
    const storage = new EksStorage(name, { volumeId, zone: zoneOf(config), config: there }, on);
    const pods = new KubernetesTarget(
      name,
      {
        ...{ config: there, host, provider, volumeName, gpusPerNode: 1, nodes: 1 },
        ...{ publishes: args.publishes === true, after: [storage.ready] },
      },
      { ...own, transformations: [within] },
    );
    return { pods, ready: [...ready, devices.ready] };
  }

  /** Nodes with what makes them some, what goes onto them, and their end. */
  #nodes(
    name: string,
    { config, stack, provision, found, now, resting = false }: EksTargetArgs,
    { cluster, network }: { readonly cluster: EksCluster; readonly network: ClusterNetwork },
  ) {
    const { region, diskSizeGiB, owner } = config;
    const own = { parent: this };
    const groupName = resourceName(stack);
    const tags = tagsFor(stack, { owner });
    const shared = { clusterName: cluster.name, tags };
    const end = resting ? undefined : leaseEnd(provision.leaseHours, now, unended(found.nodeTags, now));
    const leases =
      end === undefined
        ? []
        : [new EksLease(name, { clusterName: groupName, end, region, leaseName: `${groupName}-lease`, tags }, own)];
    const ends = leases.map(({ schedule }) => schedule);
    const first = new EksNodeAddons(name, shared, { ...own, dependsOn: [...cluster.ready] });
    const nodes = new EksNodes(
      name,
      {
        ...{ ...shared, version: cluster.version, region, subnetId: network.subnetIds[0], groupName, diskSizeGiB },
        ...{ instanceType: provision.node.name, wanted: resting ? 0 : 1 },
        leaseTags: end === undefined ? {} : leaseTags(end),
        after: [...network.ready, ...first.ready, ...ends],
      },
      own,
    );
    const after = [nodes.group];
    const pods = new EksPodAddons(name, { ...shared, region, roleName: groupName }, { ...own, dependsOn: after });
    return { nodes, ready: [nodes.group, ...pods.ready] };
  }

  #network(name: string, { config, stack, found }: EksTargetArgs): ClusterNetwork {
    const { subnetIds, secondZone } = found;
    if (subnetIds !== undefined) return { subnetIds, ready: [] };
    const tags = tagsFor(stack, { owner: config.owner });
    const zones = [zoneOf(config), secondZone] as const;
    return new EksNetwork(
      name,
      { region: config.region, zones, groupName: resourceName(stack), tags },
      { parent: this },
    );
  }
}

/** What an experiment for eks is made from. */
interface Wanted {
  readonly host: KubernetesHostSpec;
  readonly config: Experiment;
  readonly isFinished: Finished;
}

/**
 * The target of an experiment for eks: asks AWS what is there, then declares the rest. A cluster that the file names is taken as it is. `isFinished`:
 * is its run complete and safe on this machine? Then no node is started for it unless it is to be served, and with `teardown: after-training` one that
 * runs is ended. Throws RunError with what does not fit.
 */
export async function eksTarget(name: string, { host, config: experiment, isFinished }: Wanted): Promise<Target> {
  const config = experiment.eks;
  if (config === undefined) throw new RunError("tuneup:eks is required with `tuneup:target: eks`.");
  const provider = new AwsProvider(name, { region: config.region });
  const publishes = experiment.storage.artifacts !== undefined;
  const { kubernetes } = experiment;
  if (!makesCluster(config)) {
    const access = await lookUpGiven(config.region, config.name ?? "", { provider });
    const reached = new Provider(name, { kubeconfig: kubeconfigOf(access), ...adopting });
    const given = { config: kubernetes, host, provider: reached, publishes };
    return new KubernetesTarget(name, { ...given, ...machinesOf(experiment) });
  }
  const provision = provisioned(experiment, config);
  const question = { stack: name, clusterName: clusterName(name), config, zone: zoneOf(config) };
  const found = await lookUpCluster(question, { provider });
  const isIdle = found.nodeTags === undefined || experiment.teardown.when === "after-training";
  const resting = !isServed(experiment) && isIdle && (await isFinished());
  return new EksTarget(
    name,
    { config, kubernetes, stack: name, host, provision, found, now: new Date(), resting, publishes },
    { providers: { aws: provider } },
  );
}

function provisioned(experiment: Experiment, config: EksConfig): ClusterProvision {
  try {
    return clusterProvision(experiment, config);
  } catch (thrown) {
    if (thrown instanceof Fault) throw new RunError(`tuneup:${thrown.sentence}`);
    throw thrown;
  }
}
