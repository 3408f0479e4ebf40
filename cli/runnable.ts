import { canonicalJson } from "../recipe/canonical.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { Fault } from "../recipe/fault.ts";
import { readRunnableExperiment } from "../recipe/runnable-experiment.ts";
import { projectFolder } from "./project.ts";
import { readStack } from "./stack-file.ts";

/** An experiment as its stack file says it, without Pulumi. Throws Fault `experiment-invalid` with everything that is wrong. */
export async function runnableExperiment(name: string): Promise<Experiment> {
  const stated = await readStack(name);
  // Pulumi gives the program its maps with sorted keys; the host's files have that order.
  const read = readRunnableExperiment(JSON.parse(canonicalJson(stated)) as typeof stated, projectFolder);
  if (read.experiment !== undefined) return read.experiment;
  const lines = read.faults.map((fault) => `\n  ${new Fault(fault).sentence}`).join("");
  throw new Fault({ code: "experiment-invalid", message: `stacks/Pulumi.${name}.yaml can't be run:${lines}` });
}
