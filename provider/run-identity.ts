import { z } from "zod";
import { environmentLock } from "../agent/environment/identity.ts";
import type { TrainArguments } from "../recipe/arguments.ts";
import { canonicalJson, sha256 } from "../recipe/canonical.ts";
import type { DatasetSource } from "../recipe/experiment-schema.ts";
import { runName } from "../recipe/run.ts";
import { modelSource } from "../recipe/sources.ts";
import { variantsFor } from "../recipe/variants.ts";
import type { CheckFailure } from "./kind.ts";
import { readDatasets } from "./read-datasets.ts";

/** Machines, and processes on each, that train together. */
export const runProcesses = z.object({ nodes: z.int().positive(), perNode: z.int().positive() });

/** What decides a run, as the program gives it to SftJob. */
export interface RunInputs {
  readonly experiment?: unknown;
  readonly train?: unknown;
  readonly datasets?: unknown;
  readonly model?: unknown;
  readonly checkpoint?: unknown;
  readonly pins?: unknown;
  readonly processes?: unknown;
}

/** The name of a run, and the hash of what the user declared, which a new release never changes. */
export interface RunName {
  readonly run: string;
  readonly declared: string;
}

/** Which run the inputs mean. Reads the datasets of this machine; no host is asked. `failures`: what could not be read. */
export async function runIdentity(given: RunInputs): Promise<RunName | { readonly failures: readonly CheckFailure[] }> {
  const { train, datasets, model, experiment } = given;
  const source = modelSource.parse(model);
  const best = given.checkpoint === "best" ? ({ checkpoint: "best" } as const) : {};
  const data = await readDatasets(datasets as DatasetSource[], { pins: given.pins as string | undefined });
  if (data.failures.length > 0) return { failures: data.failures };
  const together = processesIn(given.processes);
  const declared = sha256(canonicalJson({ train, model, experiment, datasets: data.declared, ...best, ...together }));
  const identity = {
    train: train as TrainArguments,
    datasetsDigest: data.digest,
    model: source,
    ...best,
    ...together,
    environmentLock: environmentLock(variantsFor(train as TrainArguments)),
  };
  return { run: runName(String(experiment), identity), declared };
}

/** Not how they are spread over machines: that decides nothing of the result. */
function processesIn(processes: unknown): { readonly processes?: number } {
  const given = runProcesses.optional().safeParse(processes).data;
  return given === undefined ? {} : { processes: given.nodes * given.perNode };
}
