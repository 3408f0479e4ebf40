import type { TrainArguments } from "./arguments.ts";
import { canonicalJson, sha256 } from "./canonical.ts";
import type { ModelSource } from "./sources.ts";

/** What decides a run's result. */
export interface RunIdentity {
  readonly train: TrainArguments;
  readonly datasetsDigest: string;
  readonly model: ModelSource;
  /** Said where it is not the default, last: it decides when the training saves and what it keeps. */
  readonly checkpoint?: "best";
  /** Digest of the environment's lock files. */
  readonly environmentLock: string;
  /** Processes that train together, said where they are several: they decide how many samples make a step. */
  readonly processes?: number;
}

/** Name of the run: the experiment's, then 12 digits of the identity's hash. Equal inputs, equal run. */
export function runName(experiment: string, identity: RunIdentity): string {
  return `${experiment}-${sha256(canonicalJson(identity)).slice(0, 12)}`;
}
