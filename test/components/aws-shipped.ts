import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { Experiment } from "../../recipe/experiment.ts";
import { readRunnableExperiment } from "../../recipe/runnable-experiment.ts";

const stacks = fileURLToPath(new URL("../../stacks/", import.meta.url));

/** Names of the project's own experiments for aws. */
export const shipped = readdirSync(stacks).flatMap((file) => /^Pulumi\.(aws-.+)\.yaml$/.exec(file)?.[1] ?? []);

/** Values below `tuneup:`, by their first key. */
export type Values = Readonly<Record<string, unknown>>;

/** What a shipped experiment says, with `aws` added to and other keys in place of its own. */
export function shippedValues(name: string, { aws = {}, ...changes }: Values = {}): Record<string, unknown> {
  const text = readFileSync(`${stacks}Pulumi.${name}.yaml`, "utf8");
  const { config } = parse(text) as { config: Record<string, unknown> };
  const values = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("tuneup:", ""), value]));
  return { ...values, ...changes, aws: { ...(values["aws"] as Values), ...(aws as Values) } };
}

/** The same, as it runs. Throws with the faults where it can't. */
export function shippedExperiment(name: string, changes: Values = {}): Experiment {
  const result = readRunnableExperiment(shippedValues(name, changes), stacks);
  if (result.experiment === undefined) throw new Error(JSON.stringify(result.faults));
  return result.experiment;
}

/** What `aws.publicChat` may say in us-east-1. */
export const publicChat = {
  certificate: "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d",
  allowedCidrs: ["203.0.113.0/24", "198.51.100.7/32"],
};
