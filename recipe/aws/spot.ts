import type { Experiment } from "../experiment.ts";
import type { FaultFacts } from "../fault.ts";
import { awsConfig } from "./config.ts";

/** Minutes that an `up` waits for spot capacity where it never takes an on-demand machine. */
const patientMinutes = 10;

/** Minutes that an `up` waits for a machine of spot capacity. `fallback`: `aws.onDemandFallback`. */
export function spotPatience(fallback: number): number {
  return fallback === 0 ? patientMinutes : fallback;
}

/** What is known of a group that is there. */
export interface GroupNow {
  /** Is it to have a machine? */
  readonly isOn: boolean;
  readonly hasMachine: boolean;
  /** How many of its machines are to be on demand. */
  readonly onDemandBase: number;
  /** When its lease began, in milliseconds since 1970; undefined where that is not known. */
  readonly begunAt: number | undefined;
}

/**
 * How many machines of a group are to be on demand: one where there was no spot capacity for `minutes` (`aws.onDemandFallback`; 0: never) since its lease
 * began, and none is there now. A machine that runs stays what it is, and after an end spot capacity is asked for again.
 */
export function onDemandBase(minutes: number, group: GroupNow | undefined, now: Date): 0 | 1 {
  if (group?.isOn !== true || minutes === 0) return 0;
  if (group.onDemandBase > 0) return 1;
  const waited = group.begunAt === undefined ? 0 : now.getTime() - group.begunAt;
  return !group.hasMachine && waited >= minutes * 60_000 ? 1 : 0;
}

/** What does not go together with `aws.spot`; nothing where it is not asked for. */
export function unfitForSpot({ aws, compute, model }: Experiment): FaultFacts[] {
  const config = awsConfig(aws);
  if (!config.spot) return [];
  const code = "aws-spot";
  const faults: FaultFacts[] = [];
  const why = "a machine that takes another's place has nobody who pushes anything to it";
  if (config.vpc === "own" && config.egress === "none") {
    const next = "Take `aws.egress` out, or `aws.spot`.";
    faults.push({ code, property: "aws.egress", message: `must be nat with aws.spot: ${why}.`, next });
  }
  if (compute.offline) {
    const next = "Take it out, or `aws.spot`.";
    faults.push({ code, property: "compute.offline", message: `must be false with aws.spot: ${why}.`, next });
  }
  if (model.source === "path") {
    const next = "Put the weights on a hub or into a bucket that everybody may read, or take `aws.spot` out.";
    faults.push({ code, property: "model.source", message: `must not be path with aws.spot: ${why}.`, next });
  }
  if (model.adapter !== undefined) {
    const next = "Merge it into weights on a hub, or take `aws.spot` out.";
    faults.push({ code, property: "model.adapter", message: `must be left out with aws.spot: ${why}.`, next });
  }
  if (config.publicChat !== undefined) {
    const message = "must be left out with aws.spot: a load balancer knows one machine, and here it changes.";
    const next = "Chat through Systems Manager (`npx tuneup chat`), or take `aws.spot` out.";
    faults.push({ code, property: "aws.publicChat", message, next });
  }
  return faults;
}
