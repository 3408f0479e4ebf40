import { weightsFindings } from "../agent/weights/findings.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import { trainingFaults } from "../recipe/compatibility/experiment.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import { readPlannableExperiment } from "../recipe/runnable-experiment.ts";
import { modelPin, type Pins } from "../recipe/pins.ts";
import { inAws, trainsOnOneCard } from "../recipe/target.ts";
import { type VariantQuestion, variantFindings } from "../recipe/variant-findings.ts";
import { dataFindings, splitFindings } from "./datasets/findings.ts";
import { modelFolder } from "./datasets/model-folder.ts";
import { type DataReport, dataReport } from "./datasets/report.ts";
import { stageFindings } from "./datasets/stage.ts";
import { tokenCounter } from "./datasets/token-counter.ts";
import { adapterFaults, rewardFaults } from "./folders.ts";
import { hostFaults } from "./host.ts";
import { type HostFacts, hardwareOf } from "./hardware.ts";
import { resourceFindings } from "./resources.ts";
import { spotFindings } from "./spot.ts";

/** What a check may look at beside the experiment's text. */
export interface CheckContext {
  /** The data directory on this machine: what was fetched before lies there. */
  readonly home: string;
  readonly pins: Pins;
  /** What the host told of itself; undefined where it was not asked. */
  readonly host?: HostFacts | undefined;
  /** Ask the hub for sizes, licence and terms; needs a network. Default: no. */
  readonly askHub?: boolean;
  readonly hubToken?: string | undefined;
  /** Are data and weights told by resources of their own? Their findings are left out then, as `preview` wants it. Default: no. */
  readonly resourcesOnly?: boolean;
  /** Tokens are counted in the first rows of each dataset, so that a check is done in seconds. Default: 1000. */
  readonly tokenRows?: number;
}

/** Everything that is right and wrong with what a stack file says, its values under `tuneup:` already parsed. `folder` is the project's. */
export async function checkConfig(
  config: Readonly<Record<string, unknown>>,
  folder: string,
  context: CheckContext,
): Promise<CheckFinding[]> {
  const { experiment, faults } = readPlannableExperiment(config, folder);
  if (experiment === undefined) return faults.map(faultFinding);
  return checkExperiment(experiment, context);
}

/** The same for an experiment whose text is right. `pulumi preview` asks this too: its errors are the same. */
export async function checkExperiment(experiment: Experiment, context: CheckContext): Promise<CheckFinding[]> {
  const { home, host, askHub = false, hubToken, resourcesOnly = false } = context;
  const { train, model, serve, budget, target } = experiment;
  const hardware = hardwareOf(experiment, host);
  const { device } = hardware;
  // Without a budget of time or money, and rows held back by number, no row decides an error: preview does not read the data twice.
  const counts = budget.hours !== undefined || budget.usd !== undefined || Number(train["val_size"] ?? 0) >= 1;
  const reads = !resourcesOnly || counts;
  const data = reads ? await reportOf(experiment, context) : undefined;
  // On a CPU that nobody asked for, what a card would need is no fault of the file yet.
  const known = experiment.compute.device !== "auto" || host !== undefined || inAws(target);
  const gpus = trainsOnOneCard(target) ? 1 : hardware.gpus;
  const unfit = known ? trainingFaults(experiment, { device, gpus, distributed: gpus > 1 }) : [];
  return [
    ...(unfit.length > 0 ? unfit.map(faultFinding) : [allTaken(Object.keys(train).length)]),
    ...(unfit.length > 0 ? [] : [goesTogether]),
    ...variantFindings({
      ...{ train, engine: serve.enabled ? serve.engine : "huggingface", model: { id: model.id } },
      ...{ device, platform: host?.platform, distributed: gpus > 1 },
      ...{ here: host === undefined ? undefined : host.environment !== null },
      ...engineQuestion(host),
    }),
    ...(resourcesOnly || host === undefined ? [] : hostFaults(experiment.compute.device, host).map(hostFinding)),
    ...(resourcesOnly ? [] : adapterFaults(model.adapter, target === "local" ? home : undefined).map(faultFinding)),
    ...rewardFaults(experiment, home).map(faultFinding),
    ...(resourcesOnly ? [] : await weightsOf(experiment, context)),
    ...spotFindings(experiment),
    ...(resourcesOnly ? await stageFindings(experiment) : data === undefined ? [] : dataFindings(data, experiment)),
    ...(data === undefined ? [] : splitFindings(data)),
    ...(await resourceFindings(experiment, { home, host, data, hub: askHub ? { token: hubToken } : undefined })),
  ];
}

/** What decides whether the engine can be there. */
function engineQuestion(host: HostFacts | undefined): Partial<VariantQuestion> {
  if (host === undefined) return {};
  const { arch, gpus, engineEnvironment = null } = host;
  return { arch, gpus, engineHere: engineEnvironment !== null };
}

async function reportOf(experiment: Experiment, { home, pins, tokenRows = 1000 }: CheckContext): Promise<DataReport> {
  const folder = await modelFolder(experiment.model, home).catch(() => undefined);
  const counter = folder === undefined ? undefined : await tokenCounter(folder).catch(() => undefined);
  return dataReport(experiment, { home, pins, counter, tokenRows });
}

function weightsOf({ model }: Experiment, { pins, askHub = false, hubToken }: CheckContext): Promise<CheckFinding[]> {
  return weightsFindings(model, { pin: modelPin(pins, model), ask: askHub, token: hubToken });
}

/** Codes that are about how values go together; all others are about a value. */
const together = /incompatible|template-family|best-checkpoint|package/;

function faultFinding({ code, property, message, next }: FaultFacts): CheckFinding {
  return {
    area: together.test(code) ? "compatibility" : "config",
    ...{ level: "error", code, message },
    ...(property === undefined ? {} : { property }),
    ...(next === undefined ? {} : { next }),
  };
}

function hostFinding(fault: FaultFacts): CheckFinding {
  return { ...faultFinding(fault), area: "environment" };
}

function allTaken(count: number): CheckFinding {
  const message = `every value of ${count} arguments is one that LLaMA-Factory 0.9.5 takes.`;
  return { area: "config", level: "ok", code: "arguments-taken", message, values: { count } };
}

const goesTogether: CheckFinding = {
  ...{ area: "compatibility", level: "ok", code: "arguments-compatible", values: {} },
  message: "model, template, method and arguments go together.",
};
