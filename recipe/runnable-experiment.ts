import { resolve } from "node:path";
import { provisionOf } from "./aws/provision.ts";
import { unfitForPublicChat } from "./aws/public-chat.ts";
import { unfitForSpot } from "./aws/spot.ts";
import { notProvisionedOnEks, unfitForEks } from "./eks/unfit.ts";
import type { DatasetSource } from "./experiment-schema.ts";
import { withZeroStage } from "./estimates/zero.ts";
import { type Experiment, readExperiment } from "./experiment.ts";
import { Fault, type FaultFacts } from "./fault.ts";
import { onCluster, trainsOnOneCard } from "./target.ts";
import { isLoopback } from "./tls.ts";

/** The experiment as it runs, or everything that is wrong with it. */
export type RunnableResult =
  | { readonly experiment: Experiment; readonly faults?: never }
  | { readonly experiment?: never; readonly faults: readonly FaultFacts[] };

/** `readExperiment`, and what this release's targets can't do is a fault. Paths that the file has are taken from `folder`, the project's. */
export function readRunnableExperiment(config: Readonly<Record<string, unknown>>, folder: string): RunnableResult {
  const result = readPlannableExperiment(config, folder);
  const { experiment } = result;
  const faults = experiment === undefined ? [] : [...notProvisioned(experiment), ...notProvisionedOnEks(experiment)];
  return faults.length > 0 ? { faults } : result;
}

/** The same for what only looks, such as `tuneup check`: it may ask of AWS what this release knows and does not provision yet. */
export function readPlannableExperiment(config: Readonly<Record<string, unknown>>, folder: string): RunnableResult {
  const { experiment, faults } = readExperiment(config);
  if (experiment === undefined) return { faults };
  const impossible = unfitForTarget(experiment);
  return impossible.length > 0 ? { faults: impossible } : { experiment: withZeroStage(withPaths(experiment, folder)) };
}

/** What `tuneup check` gives a price for and this release does not start. */
function notProvisioned(experiment: Experiment): FaultFacts[] {
  const { target, compute } = experiment;
  if (target !== "aws") return [];
  const faults: FaultFacts[] = [];
  try {
    provisionOf(experiment);
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    faults.push(thrown.toFacts());
  }
  if (compute.gpus !== undefined && compute.gpus > 1) {
    faults.push({
      code: "aws-gpus",
      property: "compute.gpus",
      message: `must be 1 for the target aws, where one card trains, got ${compute.gpus}.`,
      next: "Take it out, or train on several cards with `tuneup:target: kubernetes`.",
    });
  }
  return faults;
}

/** What an experiment asks of a target that this release does not have, or that fits another target. */
function unfitForTarget(experiment: Experiment): FaultFacts[] {
  const { target, compute, teardown, serve } = experiment;
  const faults: FaultFacts[] = [];
  if (target === "ssh" && compute.host === undefined) {
    faults.push({
      code: "host-missing",
      property: "compute.host",
      message: "is required with `tuneup:target: ssh`: any name that `ssh NAME` takes.",
      next: "Try it with `ssh NAME true` first.",
    });
  }
  if (onCluster(target)) faults.push(...unfitForCluster(experiment), ...unfitForEks(experiment));
  else if (compute.nodes > 1 || compute.gpusPerNode !== undefined) faults.push(oneMachine(target, compute));
  if (target === "local" || target === "aws") faults.push(...unfitForMachine(target, experiment));
  if (target === "aws") faults.push(...unfitForPublicChat(experiment), ...unfitForSpot(experiment));
  const open = !onCluster(target) && serve.enabled && serve.tls === "off" && !isLoopback(serve.host);
  if (open) faults.push(openWithoutTls(serve.host));
  if (teardown.when === "after-idle" && target !== "aws") {
    faults.push({
      code: "teardown-idle",
      property: "teardown.when",
      message: `must be keep or after-training for the target ${target}, got after-idle: tuneup did not start that machine and can't end it.`,
      next: "Say `after-training` or take it out; `npx tuneup down` stops what runs.",
    });
  }
  return faults;
}

/** What says how a machine is reached that is given. */
function wayThere(compute: Experiment["compute"]): string | undefined {
  return (["host", "user", "port", "identity", "jump"] as const).find((key) => compute[key] !== undefined);
}

const machineOf = { local: "this machine", aws: "a machine that tuneup starts" } as const;

/** What belongs to another target, and what neither this machine nor one that is started can do. */
function unfitForMachine(target: keyof typeof machineOf, { compute, storage }: Experiment): FaultFacts[] {
  const faults: FaultFacts[] = [];
  const foreign = wayThere(compute);
  if (foreign !== undefined) {
    faults.push({
      code: "host-local",
      property: `compute.${foreign}`,
      message: `has no meaning for the target ${target}, which is ${machineOf[target]}.`,
      next: "Say `tuneup:target: ssh`, or take it out.",
    });
  }
  if (storage.dataDirectory?.startsWith("~") === true) {
    faults.push({
      code: "config-value",
      property: "storage.dataDirectory",
      message: `must be an absolute path, got ${JSON.stringify(storage.dataDirectory)}.`,
    });
  }
  if (target === "aws" && compute.device === "cpu") {
    faults.push({
      code: "config-value",
      property: "compute.device",
      message: "must be auto or cuda for the target aws, whose machines all have a GPU, got cpu.",
    });
  }
  return faults;
}

/** What belongs to another target, and what does not go together on a cluster. */
function unfitForCluster({ target, compute, storage, kubernetes, serve }: Experiment): FaultFacts[] {
  const faults: FaultFacts[] = [];
  const foreign = wayThere(compute);
  if (foreign !== undefined) {
    faults.push({
      code: "host-cluster",
      property: `compute.${foreign}`,
      message: `has no meaning for the target ${target}, whose cluster is ${target === "eks" ? "one of EKS" : "a context of the kubeconfig"}.`,
      next: `Name it by \`tuneup:${target === "eks" ? "eks: {name" : "kubernetes: {context"}: NAME}\`, or take this out.`,
    });
  }
  if (storage.dataDirectory !== undefined) {
    faults.push({
      code: "config-value",
      property: "storage.dataDirectory",
      message: `has no meaning for the target ${target}: the data lies on its volume.`,
      next: "Say its size and class by `tuneup:kubernetes: {volume: {size, storageClassName}}`.",
    });
  }
  const { accessMode } = kubernetes.volume;
  if (compute.nodes > 1 && accessMode === "ReadWriteOnce") {
    faults.push({
      code: "volume-access",
      property: "kubernetes.volume.accessMode",
      message: `must be ReadWriteMany where ${compute.nodes} machines train together, got ReadWriteOnce, which one machine mounts.`,
      next: "Take a storage class that has it (NFS, CephFS, FSx for Lustre, Filestore), or `tuneup:compute: {nodes: 1}`.",
    });
  }
  if (serve.host !== "127.0.0.1" || serve.port !== 0) {
    faults.push({
      code: "serve-cluster",
      property: serve.port === 0 ? "serve.host" : "serve.port",
      message: `has no meaning for the target ${target}: its Pods have an address of their own.`,
      next: "Say who reaches them by `tuneup:kubernetes: {endpoint: {allowFrom, ingress, route}}`; `npx tuneup chat` needs none of it.",
    });
  }
  return faults;
}

function oneMachine(target: Experiment["target"], { nodes }: Experiment["compute"]): FaultFacts {
  return {
    code: "compute-nodes",
    property: nodes > 1 ? "compute.nodes" : "compute.gpusPerNode",
    message: `is for the target kubernetes: on ${target} one machine trains${trainsOnOneCard(target) ? " on one card" : ""}.`,
    next: "Take it out, or say `tuneup:target: kubernetes`.",
  };
}

/** Keys, questions and answers would be readable on the way. */
function openWithoutTls(host: string): FaultFacts {
  return {
    code: "tls-off",
    property: "serve.tls",
    message: `must not be off while serve.host is ${host}: off is for loopback alone. It takes auto, self-signed, or {certificate, key}.`,
    next: "Take it out: the host then makes a certificate, which clients pin. Or set serve.host to 127.0.0.1.",
  };
}

/** Every path of the file absolute: what reads them may have another working folder. */
function withPaths(experiment: Experiment, folder: string): Experiment {
  const { id, source, adapter, ...model } = experiment.model;
  return {
    ...experiment,
    model: {
      ...model,
      source,
      id: source === "path" ? resolve(folder, id) : id,
      // Without a slash it is the name of a run.
      ...(adapter === undefined ? {} : { adapter: adaptersIn(adapter, folder) }),
    },
    datasets: experiment.datasets.map((dataset) => datasetIn(dataset, folder)),
    compute: identityIn(experiment.compute, folder),
    serve: certificateIn(experiment.serve, folder),
  };
}

function adaptersIn(adapters: string, folder: string): string {
  const parts = adapters.split(",").map((adapter) => adapter.trim());
  return parts.map((adapter) => (adapter.includes("/") ? resolve(folder, adapter) : adapter)).join(",");
}

function datasetIn(dataset: DatasetSource, folder: string): DatasetSource {
  if ("path" in dataset) return { ...dataset, path: resolve(folder, dataset.path) };
  if ("datasetInfo" in dataset) return { ...dataset, datasetInfo: resolve(folder, dataset.datasetInfo) };
  return dataset;
}

function identityIn({ identity, ...compute }: Experiment["compute"], folder: string): Experiment["compute"] {
  // ssh itself knows what ~ is.
  if (identity === undefined) return compute;
  return { ...compute, identity: identity.startsWith("~") ? identity : resolve(folder, identity) };
}

function certificateIn(serve: Experiment["serve"], folder: string): Experiment["serve"] {
  if (typeof serve.tls === "string") return serve;
  const { certificate, key } = serve.tls;
  return { ...serve, tls: { certificate: resolve(folder, certificate), key: resolve(folder, key) } };
}
