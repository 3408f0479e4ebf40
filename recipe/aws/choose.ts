import { cards, hasBf16 } from "../estimates/cards.ts";
import { tightShare } from "../estimates/memory.ts";
import type { AwsConfig } from "./config.ts";
import { type InstanceType, instanceType, instanceTypes } from "./instance-types.ts";

/** What a training asks of a machine. */
export interface MachineNeed {
  /** Memory of one card at its peak, bytes. */
  readonly memoryBytes: number;
  /** Cards that train together. */
  readonly gpus: number;
  /** Does it compute in bf16? Cards before Ampere can't. */
  readonly bf16: boolean;
  /** Name of the only card that is wanted. Default: any. */
  readonly gpu?: string | undefined;
}

/** Why an instance type is not taken. */
export type Unfit = "memory" | "gpus" | "bf16" | "gpu" | "least-memory";

/** The instance types of an experiment and what became of each. */
export interface Choice {
  /** What is taken; undefined where nothing fits. */
  readonly type: InstanceType | undefined;
  /** All that fit, in the order in which they would be taken. */
  readonly fitting: readonly InstanceType[];
  /** All others, each with the first reason. */
  readonly unfit: readonly { readonly type: InstanceType; readonly reason: Unfit }[];
}

type Asked = Pick<AwsConfig, "instanceTypes" | "gpuMemoryGiB">;

/**
 * The machine for a training: the first of the user's order that fits, else the cheapest by the hour. Where the user names none, a card that
 * is filled to more than 95 % does not fit: the estimate is not that exact. The memory of the machine itself is not estimated.
 */
export function chooseMachine(need: MachineNeed, asked: Asked): Choice {
  const named = asked.instanceTypes?.flatMap((name) => instanceType(name) ?? []);
  const candidates = named ?? instanceTypes;
  const judged = candidates.map((type) => ({ type, reason: unfitFor(type, need, asked) }));
  const fitting = judged.flatMap(({ type, reason }) => (reason === undefined ? [type] : []));
  const unfit = judged.flatMap(({ type, reason }) => (reason === undefined ? [] : [{ type, reason }]));
  return { type: fitting[0], fitting, unfit };
}

function unfitFor(type: InstanceType, need: MachineNeed, asked: Asked): Unfit | undefined {
  const card = cards.find(({ name }) => name === type.gpu);
  const share = asked.instanceTypes === undefined ? tightShare : 1;
  if (need.gpu !== undefined && need.gpu !== type.gpu) return "gpu";
  if (need.bf16 && (card === undefined || !hasBf16(card))) return "bf16";
  if (type.gpus < need.gpus) return "gpus";
  if (asked.gpuMemoryGiB !== "auto" && type.gpuMemoryBytes < asked.gpuMemoryGiB * 2 ** 30) return "least-memory";
  return need.memoryBytes > share * type.gpuMemoryBytes ? "memory" : undefined;
}

/** The cheapest machine with each other card, at most `most`: what else there is to choose from. */
export function alternatives({ type, fitting }: Choice, most = 3): InstanceType[] {
  const seen = new Set([type?.gpu]);
  const others = fitting
    .toSorted((a, b) => a.usdPerHour - b.usdPerHour)
    .filter(({ gpu }) => {
      const isNew = !seen.has(gpu);
      seen.add(gpu);
      return isNew;
    });
  return others.slice(0, most);
}

/** Where the user names no types, AWS may choose among so many, and none that costs more than this many times the cheapest. */
const mostTypes = 8;
const mostTimes = 2;

/**
 * What AWS may choose from where capacity is spot: all that fit of those that the user names, in that order, else the cheapest few. More types are more
 * capacity; each costs at most its price on demand.
 */
export function spotTypes({ fitting }: Choice, asked: Pick<Asked, "instanceTypes">): readonly InstanceType[] {
  if (asked.instanceTypes !== undefined) return fitting;
  const [cheapest] = fitting;
  return fitting.filter(({ usdPerHour }) => usdPerHour <= mostTimes * (cheapest?.usdPerHour ?? 0)).slice(0, mostTypes);
}

/** Size of the data volume in GiB for a data directory of so many bytes: a fifth to spare, in steps of 10, at least 20. */
export function volumeSizeGiB(bytes: number): number {
  return Math.max(20, 10 * Math.ceil((1.2 * bytes) / 2 ** 30 / 10));
}
