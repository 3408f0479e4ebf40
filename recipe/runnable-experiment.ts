import { resolve } from "node:path";
import type { DatasetSource } from "./experiment-schema.ts";
import { type Experiment, readExperiment } from "./experiment.ts";
import type { FaultFacts } from "./fault.ts";
import { isLoopback } from "./tls.ts";

/** The experiment as it runs, or everything that is wrong with it. */
export type RunnableResult =
  | { readonly experiment: Experiment; readonly faults?: never }
  | { readonly experiment?: never; readonly faults: readonly FaultFacts[] };

/** `readExperiment`, and what this release's targets can't do is a fault. Paths that the file has are taken from `folder`, the project's. */
export function readRunnableExperiment(config: Readonly<Record<string, unknown>>, folder: string): RunnableResult {
  const { experiment, faults } = readExperiment(config);
  if (experiment === undefined) return { faults };
  const impossible = unfitForTarget(experiment);
  return impossible.length > 0 ? { faults: impossible } : { experiment: withPaths(experiment, folder) };
}

/** What an experiment asks of a target that this release does not have, or that fits another target. */
function unfitForTarget({ target, compute, storage, teardown, serve }: Experiment): FaultFacts[] {
  if (target !== "local" && target !== "ssh") {
    return [
      {
        code: "target-unavailable",
        property: "target",
        message: `${target} is not in this release yet.`,
        next: "Use `tuneup:target: local` or `ssh`.",
      },
    ];
  }
  const faults: FaultFacts[] = [];
  if (target === "ssh" && compute.host === undefined) {
    faults.push({
      code: "host-missing",
      property: "compute.host",
      message: "is required with `tuneup:target: ssh`: any name that `ssh NAME` takes.",
      next: "Try it with `ssh NAME true` first.",
    });
  }
  if (target === "local") {
    const remote = (["host", "user", "port", "identity", "jump"] as const).find((key) => compute[key] !== undefined);
    if (remote !== undefined) {
      faults.push({
        code: "host-local",
        property: `compute.${remote}`,
        message: "has no meaning for the target local, which is this machine.",
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
  }
  if (serve.enabled && serve.tls === "off" && !isLoopback(serve.host)) faults.push(openWithoutTls(serve.host));
  if (teardown.when === "after-idle") {
    faults.push({
      code: "teardown-idle",
      property: "teardown.when",
      message: `must be keep or after-training for the target ${target}, got after-idle: tuneup did not start that machine and can't end it.`,
      next: "Say `after-training` or take it out; `npx tuneup down` stops what runs.",
    });
  }
  return faults;
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
