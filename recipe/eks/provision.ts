import { type InstanceType, instanceType } from "../aws/instance-types.ts";
import { provisionOf } from "../aws/provision.ts";
import type { Experiment } from "../experiment.ts";
import { Fault } from "../fault.ts";
import { dataGiB } from "./cluster-config.ts";
import { type EksConfig, nodeAsMachine } from "./config.ts";
import { type ClusterCost, clusterCost, nodeLeaseHours } from "./prices.ts";
import { eksWords } from "./words.ts";

/** What is provisioned for an experiment on a cluster of its own, as far as its file decides it. */
export interface ClusterProvision {
  readonly node: InstanceType;
  readonly volumeGiB: number;
  /** Hours of the nodes' lease. */
  readonly leaseHours: number;
}

type Asked = Pick<Experiment, "compute" | "model" | "train" | "serve" | "teardown" | "kubernetes">;

/**
 * Node, volume and lease of an experiment, which trains on one card: the same at every `up`. Throws the Faults of recipe/aws/provision.ts, which
 * speak of `eks` here.
 */
export function clusterProvision(experiment: Asked, config: EksConfig): ClusterProvision {
  const volumeGiB = dataGiB(experiment.kubernetes);
  const machine = nodeAsMachine(config);
  const aws = { ...machine, volume: { ...machine.volume, sizeGiB: volumeGiB } };
  const { instanceType: name } = ofEks(() => provisionOf({ ...experiment, aws }));
  const node = instanceType(name);
  if (node === undefined) throw new Error(`${name} is not in the table of machines.`);
  const cost = costOfCluster(config, { nodeHour: experiment.compute.pricePerHour ?? node.usdPerHour, volumeGiB });
  return { node, volumeGiB, leaseHours: nodeLeaseHours(config, cost) };
}

/** What a cluster of an experiment costs. */
export function costOfCluster(
  { vpc, diskSizeGiB }: Pick<EksConfig, "vpc" | "diskSizeGiB">,
  { nodeHour, volumeGiB }: { readonly nodeHour: number; readonly volumeGiB: number },
): ClusterCost {
  return clusterCost({ nodeHour, volumeGiB, nodeDiskGiB: diskSizeGiB, ownVpc: vpc === "own" });
}

function ofEks<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    const { property, message, next, ...facts } = thrown.toFacts();
    throw new Fault({
      ...facts,
      message: eksWords(message),
      ...(property === undefined ? {} : { property: property === "aws" ? "eks" : eksWords(property) }),
      ...(next === undefined ? {} : { next: eksWords(next) }),
    });
  }
}
