import type { z } from "zod";
import type { compute, experimentSchema } from "./experiment-schema.ts";

/** Of an experiment, what tells its machines. */
interface Machines {
  readonly target: z.output<typeof experimentSchema>["target"];
  readonly compute: z.output<typeof compute>;
}

type TargetName = Machines["target"];

/** Does a target run Pods on a cluster? */
export function onCluster(target: TargetName): target is "kubernetes" | "eks" {
  return target === "kubernetes" || target === "eks";
}

/** Does `up` make resources in AWS for a target? */
export function inAws(target: unknown): target is "aws" | "eks" {
  return target === "aws" || target === "eks";
}

/** Does a target train in one process, on one card? Those do whose machine is taken as it is. */
export function trainsOnOneCard(target: TargetName): boolean {
  return target === "local" || target === "ssh";
}

/** Processes that train together; undefined where one does. */
export function processesOf(experiment: Machines): { readonly nodes: number; readonly perNode: number } | undefined {
  if (!onCluster(experiment.target)) return undefined;
  const { nodes, gpusPerNode } = machinesOf(experiment);
  const perNode = Math.max(1, gpusPerNode);
  return nodes * perNode === 1 ? undefined : { nodes, perNode };
}

/** How many machines train together, and with how many GPUs each; 0 trains on the CPU. A cluster can't be asked what it has: no device means a GPU. */
export function machinesOf({ compute }: Pick<Machines, "compute">): {
  readonly nodes: number;
  readonly gpusPerNode: number;
} {
  const { nodes, device, gpus, gpusPerNode } = compute;
  return { nodes, gpusPerNode: device === "cpu" ? 0 : (gpusPerNode ?? gpus ?? 1) };
}
