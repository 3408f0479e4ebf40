import { readFile } from "node:fs/promises";
import { fetchEntry } from "../../agent/datasets/place.ts";
import { isMissing, writeAtomically } from "../../agent/files.ts";
import { dataFindings } from "../../checks/datasets/findings.ts";
import { environmentFolder, modelFolder } from "../../checks/datasets/model-folder.ts";
import { type DataReport, dataReport } from "../../checks/datasets/report.ts";
import { askedOf, fetchedAt, foundFor, planEach, remoteFiles } from "../../checks/datasets/sources.ts";
import { tokenCounter } from "../../checks/datasets/token-counter.ts";
import { connect } from "../../hosts/connect.ts";
import type { Host } from "../../hosts/host.ts";
import type { CheckFinding } from "../../recipe/check-report.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { asFault } from "../../recipe/fault.ts";
import { homeOf } from "../../recipe/home.ts";
import { pinDatasets, type Pins, pinsFile, readPins } from "../../recipe/pins.ts";
import type { DatasetSample } from "../../recipe/protocol.ts";
import { say } from "../language/say.ts";
import { hostSpecFor, projectFolder } from "../project.ts";
import { plannableExperiment } from "../runnable.ts";

/** An experiment's data as `tuneup data` shows it. */
export interface Examined {
  readonly name: string;
  readonly experiment: Experiment;
  readonly report: DataReport;
  readonly findings: readonly CheckFinding[];
  /** The first row in the template, as LLaMA-Factory renders it. */
  readonly sample: DatasetSample | undefined;
  /** Why there is no sample. */
  readonly sampleLack?: string;
}

/** Reads the experiment and all of its data; what is on a hub is fetched first. `tell` gets a line for each thing that takes long. */
export async function examineData(name: string, tell: (line: string) => void, signal: AbortSignal): Promise<Examined> {
  const experiment = await plannableExperiment(name);
  const host = await hostHere(name);
  const home = host.dataDirectory;
  const pins = await fetchMissing(name, experiment, { home, tell, signal });
  const folder = await modelFolder(experiment.model, home);
  const counter = folder === undefined ? undefined : await tokenCounter(folder);
  const gpus = experiment.compute.gpus === undefined ? {} : { gpus: experiment.compute.gpus };
  const report = await dataReport(experiment, { home, pins, counter, ...gpus });
  const findings = dataFindings(report, experiment);
  return { name, experiment, report, findings, ...(await renderSample(experiment, report, { host, folder, signal })) };
}

/** This machine, with the data directory in which data is looked at: that is done here wherever the training is. */
async function hostHere(name: string): Promise<Host> {
  const spec = await hostSpecFor(name);
  return connect(spec.kind === "local" ? spec : { kind: "local", dataDirectory: homeOf(process.env) });
}

interface Fetching {
  readonly home: string;
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Fetches what is not here into the data directory, where `up` finds it, and pins it: what is checked now is what trains. */
async function fetchMissing(name: string, experiment: Experiment, { home, tell, signal }: Fetching): Promise<Pins> {
  const path = pinsFile(`${projectFolder}/stacks`, name);
  const before = readPins(await textOf(path), path);
  // What can't be planned is told by the report.
  const { plans } = await planEach(experiment.datasets);
  const hubs = plans.flatMap(({ hub }) => (hub === undefined ? [] : [hub]));
  // The stack's own token is encrypted, and no Pulumi is at work here.
  const hubToken = process.env["HF_TOKEN"];
  const access = { environment: process.env, signal, token: hubToken };
  const found = await Promise.all(
    hubs.map(async (hub) => {
      const { source, revision } = await foundFor(hub, before, access);
      return { words: askedOf(hub), found: { source, revision } };
    }),
  );
  const pins = pinDatasets(before, found);
  for (const plan of plans) {
    const folder = fetchedAt(plan, pins, home);
    if (folder === undefined) continue;
    const remote = await remoteFiles(plan, pins, access);
    if (remote === undefined) continue;
    tell(say("data.fetching", { name: plan.name, folder }));
    const context = { progress: () => undefined, log: () => undefined, data: () => undefined, signal };
    const files = [...remote.remote];
    await fetchEntry(
      { name: plan.name, sha256: remote.sha256, remote: files },
      { dataDirectory: home, hubToken, context },
    );
  }
  const text = `${JSON.stringify(pins, null, 2)}\n`;
  if (hubs.length > 0 && text !== `${JSON.stringify(before, null, 2)}\n`) await writeAtomically(path, text, 0o644);
  return pins;
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((thrown: unknown) => {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  });
}

interface Rendering {
  readonly host: Host;
  readonly folder: string | undefined;
  readonly signal: AbortSignal;
}

async function renderSample(
  { train }: Experiment,
  { sample }: DataReport,
  { host, folder, signal }: Rendering,
): Promise<Pick<Examined, "sample" | "sampleLack">> {
  const environment = await environmentFolder(host.dataDirectory);
  const lack = (why: string) => ({ sample: undefined, sampleLack: why });
  if (sample === undefined) return lack("no row could be read");
  if (environment === undefined) return lack("the environment is not on this machine yet; `up` brings it");
  if (folder === undefined) return lack("the model is not on this machine yet; `up` brings it");
  try {
    const input = { environment, weights: folder, info: sample.info, row: sample.row, train: { ...train } };
    return { sample: await host.run("dataset-sample", input, { signal }) };
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.blame === "bug" || fault.code === "cancelled") throw thrown;
    return lack(fault.reason);
  }
}
