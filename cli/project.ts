import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";
import { connect } from "../hosts/connect.ts";
import type { Host } from "../hosts/host.ts";
import { Fault } from "../recipe/fault.ts";
import { aws } from "../recipe/aws/config.ts";
import { eks } from "../recipe/eks/config.ts";
import { compute, storage } from "../recipe/experiment-schema.ts";
import { kubernetes } from "../recipe/kubernetes/config.ts";
import { homeOf } from "../recipe/home.ts";
import type { HostSpec } from "../recipe/host.ts";
import { hostSpecOf } from "../recipe/target-host.ts";
import { onCluster } from "../recipe/target.ts";
import { nearest } from "../recipe/nearest.ts";

/** The project folder, where Pulumi.yaml is. */
export const projectFolder = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** The experiment that commands mean when none is named. */
export const defaultExperiment = "local";

/** Path of an experiment's stack file. Throws Fault with the names that there are. */
export async function stackFile(experiment: string): Promise<string> {
  const path = `${projectFolder}/stacks/Pulumi.${experiment}.yaml`;
  if (/^[A-Za-z0-9._-]+$/.test(experiment) && existsSync(path)) return path;
  const names = await experiments();
  const close = nearest(experiment, names);
  throw new Fault({
    code: "experiment-unknown",
    property: "experiment",
    message: `there is no stacks/Pulumi.${experiment}.yaml. Experiments here: ${names.join(", ")}.`,
    next: close.length > 0 ? `Did you mean ${close.join(" or ")}?` : "Copy one of them to begin a new experiment.",
  });
}

/** Names of all experiments in stacks/. */
export async function experiments(): Promise<string[]> {
  const files = await readdir(`${projectFolder}/stacks`);
  return files.flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []).sort();
}

/**
 * The host of an experiment, from its stack file alone: commands that only look or stop need neither Pulumi nor a state.
 * The file is read loosely, so that a wrong edit does not hide a run that is going on.
 */
export async function hostOf(experiment: string): Promise<Host> {
  return connect(await hostSpecFor(experiment));
}

/** How an experiment's host is reached, from its stack file alone. */
export async function hostSpecFor(experiment: string): Promise<HostSpec> {
  const path = await stackFile(experiment);
  const values = (parseDocument(await readFile(path, "utf8")).toJS() as { config?: Record<string, unknown> } | null)
    ?.config;
  return hostSpecOf(looseHost(values ?? {}), process.env, experiment);
}

/** Does `work` with an experiment's host; what was opened to reach it is closed at its end, whatever that is. */
export async function onHost<T>(experiment: string, work: (host: Host) => Promise<T>): Promise<T> {
  const host = await hostOf(experiment);
  try {
    return await work(host);
  } finally {
    await host.close();
  }
}

/** The data directory on this machine: the host's own where it is this machine, else the usual one. */
export function homeBeside(host: Host): string {
  return host.isHere ? host.dataDirectory : homeOf(process.env);
}

/** What the file says of the host, without what is no such value. */
function looseHost(values: Readonly<Record<string, unknown>>): Parameters<typeof hostSpecOf>[0] {
  const known = (schema: typeof compute | typeof storage, value: unknown): Record<string, unknown> => {
    if (typeof value !== "object" || value === null) return {};
    const entries = Object.entries(value).filter(([key, part]) => {
      const field = (schema.shape as Readonly<Record<string, { safeParse(v: unknown): { success: boolean } }>>)[key];
      return field?.safeParse(part).success === true;
    });
    return Object.fromEntries(entries);
  };
  const where = known(compute, values["tuneup:compute"]);
  const cluster = kubernetes.safeParse(values["tuneup:kubernetes"] ?? {}).data;
  const machine = aws.safeParse(values["tuneup:aws"] ?? {}).data;
  const ownCluster = eks.safeParse(values["tuneup:eks"]).data;
  const named = values["tuneup:target"];
  const target =
    named === "kubernetes" || named === "aws" || named === "eks"
      ? named
      : named === "ssh" && where["host"] !== undefined
        ? "ssh"
        : ("local" as const);
  // With a wrong value among them the defaults would name another cluster's volume, or another region.
  if (onCluster(target) && cluster === undefined) throw wrongValue("kubernetes", "the cluster's volume");
  if (target === "aws" && machine === undefined) throw wrongValue("aws", "the machine's region");
  if (target === "eks" && ownCluster === undefined) throw wrongValue("eks", "the cluster's region and name");
  return {
    target,
    compute: where,
    storage: known(storage, values["tuneup:storage"]),
    kubernetes: cluster ?? kubernetes.parse({}),
    aws: machine,
    eks: ownCluster,
  };
}

function wrongValue(property: "kubernetes" | "aws" | "eks", what: string): Fault {
  return new Fault({
    code: "config-value",
    property,
    message: `has a wrong value, so that ${what} is not known.`,
    next: "`npx tuneup check` says which.",
  });
}
