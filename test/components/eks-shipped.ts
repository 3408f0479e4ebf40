import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { Experiment } from "../../recipe/experiment.ts";
import { readRunnableExperiment } from "../../recipe/runnable-experiment.ts";
import type { Values } from "./aws-shipped.ts";

const stacks = fileURLToPath(new URL("../../stacks/", import.meta.url));

/** The project's own experiment for eks. */
export const shippedEks = "eks-qwen2.5-7b";

/** What it says, with `eks` added to and other keys in place of its own. */
export function eksValues({ eks = {}, ...changes }: Values = {}): Record<string, unknown> {
  const text = readFileSync(`${stacks}Pulumi.${shippedEks}.yaml`, "utf8");
  const { config } = parse(text) as { config: Record<string, unknown> };
  const values = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("tuneup:", ""), value]));
  return { ...values, ...changes, eks: { ...(values["eks"] as Values), ...(eks as Values) } };
}

/** The same with only these under `eks`. */
export function givenCluster(eks: Values, changes: Values = {}): Experiment {
  return runnable({ ...eksValues(changes), eks });
}

/** The same, as it runs. Throws with the faults where it can't. */
export function eksExperiment(changes: Values = {}): Experiment {
  return runnable(eksValues(changes));
}

function runnable(values: Values): Experiment {
  const result = readRunnableExperiment(values, stacks);
  if (result.experiment === undefined) throw new Error(JSON.stringify(result.faults));
  return result.experiment;
}
