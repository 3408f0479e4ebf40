import { canonicalJson } from "../recipe/canonical.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { Fault } from "../recipe/fault.ts";
import { readPlannableExperiment, readRunnableExperiment, type RunnableResult } from "../recipe/runnable-experiment.ts";
import { inAws } from "../recipe/target.ts";
import { projectFolder } from "./project.ts";
import { readStack } from "./stack-file.ts";

/** An experiment as its stack file says it, without Pulumi. Throws Fault `experiment-invalid` with everything that is wrong. */
export async function runnableExperiment(name: string): Promise<Experiment> {
  return experimentBy(readRunnableExperiment, name);
}

/** The same for commands that only look: what of a target is not provisioned yet is none of their concern. */
export async function plannableExperiment(name: string): Promise<Experiment> {
  return experimentBy(readPlannableExperiment, name);
}

/**
 * For what starts something: throws Fault `experiment-invalid` for what this release does not provision in AWS, before Pulumi is
 * fetched or built and a stack is made. What else is wrong is told by the program.
 */
export async function requireProvisioned(name: string): Promise<void> {
  const { target } = await readStack(name);
  if (inAws(target)) await runnableExperiment(name);
}

/**
 * Policy packs that the engine asks about everything an experiment declares, as the Automation API takes them: ours for aws and eks, where a resource
 * can be open to the world and cost money; none for another target.
 */
export async function policiesFor(name: string): Promise<{ readonly policyPacks?: string[] }> {
  const { target } = await readStack(name);
  return inAws(target) ? { policyPacks: [`${projectFolder}/policies/pulumi-analyzer-tuneup`] } : {};
}

type Reading = (config: Readonly<Record<string, unknown>>, folder: string) => RunnableResult;

async function experimentBy(reading: Reading, name: string): Promise<Experiment> {
  const stated = await readStack(name);
  // Pulumi gives the program its maps with sorted keys; the host's files have that order.
  const read = reading(JSON.parse(canonicalJson(stated)) as typeof stated, projectFolder);
  if (read.experiment !== undefined) return read.experiment;
  const lines = read.faults.map((fault) => `\n  ${new Fault(fault).sentence}`).join("");
  throw new Fault({ code: "experiment-invalid", message: `stacks/Pulumi.${name}.yaml can't be run:${lines}` });
}
