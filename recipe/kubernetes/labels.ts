/** What a Pod of ours does. */
export type Role = "agent" | "trainer" | "endpoint";

/** Labels of ours. */
export const roleLabel = "tuneup.dev/role";
export const experimentLabel = "tuneup.dev/experiment";
export const runLabel = "tuneup.dev/run";
export const volumeLabel = "tuneup.dev/volume";

/** Labels that everything of ours has; `managedBy`: who made it. */
export function commonLabels(managedBy: "pulumi" | "tuneup") {
  return { "app.kubernetes.io/part-of": "tuneup", "app.kubernetes.io/managed-by": managedBy };
}

/** Labels of a Pod: by them it is found, let through, and put beside the others of its volume. */
export function podLabels(
  role: Role,
  { claim, experiment, run }: { readonly claim: string; readonly experiment?: string; readonly run?: string },
): Record<string, string> {
  return {
    ...commonLabels(role === "agent" ? "tuneup" : "pulumi"),
    [roleLabel]: role,
    [volumeLabel]: claim,
    ...(experiment === undefined ? {} : { [experimentLabel]: experiment }),
    ...(run === undefined ? {} : { [runLabel]: run }),
  };
}

/** The object's name of an experiment's endpoint: Deployment, Service and what belongs to them. */
export function endpointName(experiment: string): string {
  return `${nameOf(experiment)}-endpoint`;
}

/** A name that Kubernetes takes, of an experiment's or a run's. */
export function nameOf(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 50);
}
