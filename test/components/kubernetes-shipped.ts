import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { configValues } from "../../recipe/config-values.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { readRunnableExperiment } from "../../recipe/runnable-experiment.ts";

const stacks = fileURLToPath(new URL("../../stacks/", import.meta.url));

/** The stack files of the project's own experiments for clusters. */
export const shipped = readdirSync(stacks).filter((file) => /^Pulumi\.k8s-.+\.yaml$/.test(file));

/** Values below `tuneup:`, by their first key. */
export type Values = Record<string, Record<string, unknown>>;

/** The values of a shipped experiment, changed, as they run. */
export function shippedExperiment(file: string, changes: Values = {}): Experiment {
  const { config } = parse(readFileSync(stacks + file, "utf8")) as { config: Record<string, unknown> };
  const texts = Object.entries(config).map(([key, value]) => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const values = configValues("tuneup", Object.fromEntries(texts) as Record<string, string>) as Values;
  for (const [key, value] of Object.entries(changes)) values[key] = { ...values[key], ...value };
  const result = readRunnableExperiment(values, stacks);
  if (result.experiment === undefined) throw new Error(JSON.stringify(result.faults));
  return result.experiment;
}

/** Kinds of objects that every experiment declares, those that serve, and those of one that trains on one machine and serves. */
export const always = [
  ...["Namespace", "PersistentVolumeClaim", "ServiceAccount"],
  ...["NetworkPolicy", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy"],
];
export const serving = ["Deployment", "Service", "PodDisruptionBudget"];
export const whole = [...always, "Job", ...serving];
/** Of an endpoint that KEDA scales. */
export const kedaKinds = ["Secret", "TriggerAuthentication", "ScaledObject"];
