import type { z } from "zod";
import type { compute, experimentSchema } from "./experiment-schema.ts";

/** Of an experiment, what tells its machines. */
interface Machines {
  readonly target: z.output<typeof experimentSchema>["target"];
  readonly compute: z.output<typeof compute>;
}

/** Does a target train in one process, on one card? Those do whose machine is taken as it is. */
export function trainsOnOneCard(target: "local" | "ssh" | "aws" | "kubernetes"): boolean {
  return target === "local" || target === "ssh";
}

/** Processes that train together; undefined where one does. */
export function processesOf(experiment: Machines): { readonly nodes: number; readonly perNode: number } | undefined {
  if (experiment.target !== "kubernetes") return undefined;
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
