import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { dataFilesAt, readDatasetInfos } from "../../agent/datasets/locate.ts";
import { environmentLock, environmentName } from "../../agent/environment/identity.ts";
import { sha256OfFile } from "../../agent/files.ts";
import { packageSlug } from "../../agent/weights/pypi.ts";
import { weightsFolder } from "../../agent/weights/record.ts";
import { engineLock } from "../../hosts/engine-lock.ts";
import type { Host } from "../../hosts/host.ts";
import { sha256 } from "../../recipe/canonical.ts";
import { filesDigest, hubDigest } from "../../recipe/dataset-files.ts";
import { datasetsDigest, type PlannedDataset, planDatasets } from "../../recipe/datasets.ts";
import { engineOf } from "../../recipe/engines.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { adapterFolder, type Layout, layoutOf } from "../../recipe/layout.ts";
import { datasetPin, modelPin, type Pins, readPins } from "../../recipe/pins.ts";
import { trainingExtras, trainingPart } from "../../recipe/render.ts";
import { runName } from "../../recipe/run.ts";
import type { PreparedTraining } from "../../recipe/specs.ts";
import { variantsFor } from "../../recipe/variants.ts";

/** What an experiment will find on the host, and what is not known before something is fetched. */
export interface Foreseen {
  readonly prepared: PreparedTraining;
  /** What the endpoint has instead of the training's, where its engine has an environment of its own. */
  readonly serving: { readonly environment?: string; readonly device?: "cuda" };
  /** Entries of dataset_info.json. */
  readonly datasetInfo: Readonly<Record<string, unknown>>;
  /** What stands for a name that only a download tells, with the reason. */
  readonly unknown: readonly string[];
}

/** Names of folders as the provider and the agent will choose them; nothing is fetched or written. */
export async function foresee(
  name: string,
  experiment: Experiment,
  host: Pick<Host, "dataDirectory" | "isHere" | "run">,
  pinsPath: string,
): Promise<Foreseen> {
  const { model, train, compute, serve } = experiment;
  const { dataDirectory } = host;
  const layout = layoutOf(dataDirectory);
  const device = compute.device === "auto" ? await deviceOf(host) : compute.device;
  const lock = environmentLock(variantsFor(train));
  const pins = readPins(existsSync(pinsPath) ? readFileSync(pinsPath, "utf8") : undefined, pinsPath);
  const weights = weightsPath(model, layout, { pins, pushed: !host.isHere && existsSync(model.id) });
  const plans = await plansOf(experiment);
  const digest = await digestOf(plans, pins);
  const { checkpoint = "last" } = trainingExtras(serve);
  const best = checkpoint === "best" ? ({ checkpoint } as const) : {};
  const identity = { train: trainingPart(train), model, ...best, environmentLock: lock };
  return {
    prepared: {
      dataDirectory,
      experiment: name,
      run: digest === undefined ? `${name}-<data>` : runName(name, { ...identity, datasetsDigest: digest }),
      environment: `${layout.env}/${environmentName(lock, device)}`,
      device,
      weights,
      datasetPath: `${layout.datasets}/${digest === undefined ? "<data>" : digest.slice(0, 16)}`,
      datasetNames: plans.map((plan) => plan.name),
      ...(model.adapter === undefined ? {} : { adapter: adapterFolder(model.adapter, layout) }),
      config: { ...experiment },
      artifacts: experiment.storage.artifacts,
    },
    serving: servingOf(experiment, layout),
    datasetInfo: Object.fromEntries(plans.map((plan) => [plan.name, { file_name: fileName(plan), ...plan.info }])),
    unknown: [
      ...(weights.endsWith(">") ? ["<revision>: the revision of the weights, known at first use."] : []),
      ...(digest === undefined ? ["<data>: the digest of the data, known once its revision is pinned."] : []),
      ...plans.flatMap(({ name: dataset, hub }) =>
        hub === undefined ? [] : [`file_name of ${dataset}: with an ending where the hub has one file of it.`],
      ),
    ],
  };
}

function servingOf(experiment: Experiment, { env }: Layout): Foreseen["serving"] {
  const engine = engineOf(experiment);
  if (engine === undefined) return {};
  return { environment: `${env}/${environmentName(engineLock(engine), "cuda")}`, device: "cuda" };
}

async function deviceOf(host: Pick<Host, "run">): Promise<"cpu" | "cuda"> {
  return (await host.run("preflight", {})).gpus.length > 0 ? "cuda" : "cpu";
}

interface Known {
  readonly pins: Pins;
  /** Is it a folder of this machine that is sent to another? */
  readonly pushed: boolean;
}

function weightsPath(model: Experiment["model"], layout: Layout, { pins, pushed }: Known): string {
  if (model.source === "path") return pushed ? `${weightsFolder(layout, basename(model.id), "")}<revision>` : model.id;
  const known = modelPin(pins, model)?.revision ?? (model.source === "pypi" ? model.revision : undefined);
  const id = model.source === "pypi" ? packageSlug(model, known ?? "") : model.id;
  return known === undefined ? `${weightsFolder(layout, id, "")}<revision>` : weightsFolder(layout, id, known);
}

/** A dataset_info.json that the experiment names is read, as the provider does. */
async function plansOf({ datasets }: Experiment): Promise<PlannedDataset[]> {
  const infos = datasets.flatMap((source) => ("datasetInfo" in source ? [source.datasetInfo] : []));
  return planDatasets(datasets, await readDatasetInfos(infos));
}

/** Digest of the data as the provider computes it; undefined where no pin says yet what a hub dataset is. */
async function digestOf(plans: readonly PlannedDataset[], pins: Pins): Promise<string | undefined> {
  const entries = [];
  for (const plan of plans) {
    const { name, info, extension } = plan;
    const digest = await bytesOf(plan, pins);
    if (digest === undefined) return undefined;
    entries.push({ name, info, extension, sha256: digest });
  }
  return datasetsDigest(entries);
}

async function bytesOf({ inline, url, hub, path = "" }: PlannedDataset, pins: Pins): Promise<string | undefined> {
  if (inline !== undefined) return sha256(inline);
  if (url !== undefined) return url.sha256;
  if (hub !== undefined) {
    const { id, source, revision } = hub;
    const pin = datasetPin(pins, { id, source, revision });
    return pin === undefined ? undefined : hubDigest(hub, pin);
  }
  const located = await dataFilesAt(path);
  const files = await Promise.all(
    located.map(async ({ path: name, file }) => ({ path: name, file, sha256: await sha256OfFile(file) })),
  );
  const [only] = files;
  return files.length === 1 && only?.file === path ? only.sha256 : filesDigest(files);
}

/** A folder of files keeps its name; everything else gets its ending. */
function fileName({ name, extension, path, hub }: PlannedDataset): string {
  const folder = hub !== undefined || (path !== undefined && !/\.[^./]+$/.test(path));
  return folder ? name : `${name}.${extension}`;
}
