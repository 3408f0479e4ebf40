import type { z } from "zod";
import type { CommandOptions, Host } from "../hosts/host.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import type { Wire } from "./values.ts";

/** A failed check: the property at fault and the sentence about it. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

/** What is wrong, as a failure of the property that it is about; of the host where it is about none. */
export function failureOf(fault: Pick<FaultFacts, "property" | "message" | "next">): CheckFailure {
  const { property = "host", message, next } = fault;
  return { property, reason: next === undefined ? message : `${message} ${next}` };
}

/** What a check may learn and change. Values may be unknown in previews: see `hasUnknown`. */
export interface CheckResult {
  /** Inputs to add to what the program gave, computed from them. */
  readonly computed?: Wire;
  readonly failures: readonly CheckFailure[];
  /** Told in the log and in the way of nothing. */
  readonly warnings?: readonly string[];
}

/** What a resource's work is done with. */
export interface Work {
  readonly host: Host;
  /** Pass to every agent command: progress to the user, cancellation from the engine. */
  readonly options: CommandOptions;
}

/**
 * One kind of resource. `ensure` is create and update in one: it brings the host to what the inputs say, from whatever
 * is there, and may be repeated after any interruption.
 */
export interface ResourceKind<S extends z.ZodType = z.ZodType, O extends object = object> {
  /** Inputs, with `host` among them. A key that is not in it is no input. */
  readonly inputs: S;
  /** Inputs whose change makes a new resource; every other change is an update. */
  readonly replaceOn: readonly string[];
  /** Outputs that the state keeps encrypted. */
  readonly secretOutputs?: readonly (keyof O & string)[];
  /** Inputs that say how to do it, not what: a change of them alone is none. */
  readonly incidental?: readonly string[];
  /** Inputs that matter to the state alone: a change of them is kept there, and the host is not asked for anything. */
  readonly recorded?: readonly string[];
  /** Checks that need more than the schema: files, host, data. Must not change anything, and be done in seconds. `olds`: the inputs of before. */
  check?(news: Wire, olds: Wire): Promise<CheckResult>;
  id(inputs: z.output<S>): string;
  ensure(inputs: z.output<S>, work: Work): Promise<O>;
  /** The outputs where the machine rests and this one was never made, from this machine alone. Default: none but the state. */
  rest?(inputs: Wire): Promise<O | undefined>;
  /** The outputs as they are now, undefined if the resource should be created anew; `state` tells what to repair. */
  read(inputs: z.output<S>, outputs: O, work: Work): Promise<O | undefined>;
  /** Ends what computes. Data stays. */
  remove(inputs: z.output<S>, work: Work): Promise<void>;
}

/** Outputs of every resource: anything else than `healthy` is repaired by the next `up`. */
export interface Health {
  readonly state: string;
}

/** The state that needs no repair. */
export const healthy = "healthy";
