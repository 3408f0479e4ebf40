import { cards } from "../estimates/cards.ts";
import table from "./instance-types.json" with { type: "json" };

/** A GPU machine that EC2 sells by the hour. */
export interface InstanceType {
  readonly name: string;
  /** Name of its card in the table of cards. */
  readonly gpu: string;
  readonly gpus: number;
  /** Memory of one card that a program finds, in bytes: the smaller of what EC2 says and what nvidia-smi shows. */
  readonly gpuMemoryBytes: number;
  readonly vcpus: number;
  readonly ramGiB: number;
  /** On demand, Linux, in the region of the prices. */
  readonly usdPerHour: number;
}

/** Where the table is from: it goes stale, prices first. */
export const tableSources = { specifications: table.specifications, prices: table.prices } as const;

/**
 * GPU instance types of the families G4dn, G5, G6, G6e, P4 and P5, by price. Left out: bare metal (g4dn.metal), machines with a part of a card
 * (g6f), cards that the table of cards lacks (g7e, p6), and p5e, for which us-east-1 has no price by the hour.
 */
export const instanceTypes: readonly InstanceType[] = Object.entries(table.types)
  .map(([name, { gpuMemoryMiB, ...type }]) => {
    const shown = cards.find((card) => card.name === type.gpu)?.memoryGiB ?? Infinity;
    return { name, ...type, gpuMemoryBytes: Math.min(gpuMemoryMiB * 2 ** 20, shown * 2 ** 30) };
  })
  .toSorted((a, b) => a.usdPerHour - b.usdPerHour);

/** The instance type of this name; undefined for one that is not in the table. */
export function instanceType(name: string): InstanceType | undefined {
  return instanceTypes.find((type) => type.name === name);
}
