import type { Experiment } from "../experiment.ts";
import { Fault, type FaultFacts } from "../fault.ts";
import { makesCluster } from "./config.ts";
import { clusterProvision } from "./provision.ts";

/** What does not go together for the target eks; nothing for another target. */
export function unfitForEks(experiment: Experiment): FaultFacts[] {
  const { target, eks } = experiment;
  if (target !== "eks") return [];
  if (eks === undefined) {
    return [
      {
        code: "eks-missing",
        property: "eks",
        message: "is required with `tuneup:target: eks`.",
        next: "Say who reaches the cluster's API, `tuneup:eks: {allowedCidrs: [203.0.113.7/32]}`, or name one that is there, `tuneup:eks: {name: NAME}`.",
      },
    ];
  }
  const context = experiment.kubernetes.context === undefined ? [] : [contextForeign];
  return [...context, ...(makesCluster(eks) ? unfitForOwn(experiment, eks) : unfitForGiven(eks))];
}

const contextForeign: FaultFacts = {
  code: "eks-context",
  property: "kubernetes.context",
  message: "has no meaning for the target eks, whose cluster is found by its name in AWS.",
  next: "Take it out, or say `tuneup:target: kubernetes`.",
};

type Eks = NonNullable<Experiment["eks"]>;

/** A cluster that is there is taken as it is. */
function unfitForGiven(eks: Eks): FaultFacts[] {
  const stated = (["allowedCidrs", "zone", "instanceTypes", "owner"] as const).filter((key) => eks[key] !== undefined);
  return stated.map((key) => ({
    code: "eks-given",
    property: `eks.${key}`,
    message: `has no meaning for the cluster ${eks.name ?? ""}, which is there already and is not changed.`,
    next: "Take it out, or take `eks.name` out to have a cluster made.",
  }));
}

/** Its nodes are one machine with one card, and its volume is one of EBS. */
function unfitForOwn({ compute, kubernetes }: Experiment, { endpoint, vpc }: Eks): FaultFacts[] {
  const faults: FaultFacts[] = [];
  const cards = compute.gpusPerNode ?? compute.gpus ?? 1;
  if (compute.nodes > 1 || cards > 1) {
    const key = compute.nodes > 1 ? "nodes" : compute.gpusPerNode === undefined ? "gpus" : "gpusPerNode";
    faults.push({
      code: "eks-gpus",
      property: `compute.${key}`,
      message: `must be 1 on a cluster that tuneup makes, where one card of one node trains, got ${compute[key] ?? 1}.`,
      next: "Take it out, or name a cluster that has such nodes (`eks.name`).",
    });
  }
  if (compute.device === "cpu" || cards === 0) {
    faults.push({
      code: "config-value",
      property: compute.device === "cpu" ? "compute.device" : "compute.gpusPerNode",
      message: "must ask for a GPU on a cluster that tuneup makes, whose nodes all have one.",
      next: "Take it out.",
    });
  }
  const { storageClassName, accessMode } = kubernetes.volume;
  if (storageClassName !== undefined || accessMode !== "ReadWriteOnce") {
    faults.push({
      code: "eks-volume-kind",
      property: `kubernetes.volume.${storageClassName === undefined ? "accessMode" : "storageClassName"}`,
      message: "must be left out on a cluster that tuneup makes, whose volume is one of EBS that it makes too.",
      next: "Take it out, or name a cluster that has what you want (`eks.name`).",
    });
  }
  if (endpoint === "private" && vpc === "own") {
    faults.push({
      code: "eks-unreachable",
      property: "eks.endpoint",
      message:
        "must be public with `eks.vpc: own`: nothing of yours is connected with a VPC that `up` makes, so nobody could reach the cluster's API.",
      next: "Say `endpoint: public`, which opens it to allowedCidrs alone, or name a VPC that this machine has a way into (`eks.vpc`).",
    });
  }
  return faults;
}

/** What `tuneup check` gives a price for and this release does not start. */
export function notProvisionedOnEks(experiment: Experiment): FaultFacts[] {
  const { target, eks } = experiment;
  if (target !== "eks" || eks === undefined || !makesCluster(eks)) return [];
  try {
    clusterProvision(experiment, eks);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return [thrown.toFacts()];
  }
}
