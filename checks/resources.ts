import { renderTraining } from "../recipe/render.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import { type Training, trainingOf } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { DataReport } from "./datasets/report.ts";
import { billFindings, type MachinePlan, planMachine } from "./machine.ts";
import { clusterBill, ownCluster, planNode } from "./nodes.ts";
import { diskFindings } from "./disk.ts";
import { cardFindings, type HostFacts, hardwareOf } from "./hardware.ts";
import { memoryFindings } from "./memory.ts";
import type { HubConfigQuestion } from "./hub-config.ts";
import { modelShapeOf } from "./model-shape.ts";
import { stepsOfRun, timeFindings } from "./time.ts";

/** What is known beside the experiment's text. */
export interface ResourceQuestion {
  readonly home: string;
  readonly host?: HostFacts | undefined;
  readonly data?: DataReport | undefined;
  /** How to ask the model's hub for what is not here. Default: no network. */
  readonly hub?: HubConfigQuestion | undefined;
}

/** Stand for paths that decide no figure. */
const paths = { weights: "/weights", datasets: "/datasets", output: "/output" };

/** Memory, disk, time and price, and what of the model's shape and the card forbids the training. */
export async function resourceFindings(experiment: Experiment, question: ResourceQuestion): Promise<CheckFinding[]> {
  const { home, host, data, hub } = question;
  const { target, model } = experiment;
  const own = hardwareOf(experiment, host);
  const { shape, findings, folder } = await modelShapeOf(experiment, home, hub);
  const cluster = ownCluster(experiment);
  const isPlanned = target === "aws" || cluster !== undefined;
  if (shape === undefined) return [...findings, ...(isPlanned ? [] : cardFindings(experiment, own))];
  const rendered = { ...experiment, train: renderTraining(experiment.train, [], paths, own.device) };
  const training = trainingOf(rendered.train, shape, own.gpus);
  const plan = planOf(rendered, { shape, training }, host);
  const hardware = plan?.hardware ?? own;
  const known = stepsOfRun(experiment, data, hardware.gpus);
  const tokens = data?.tokens?.perEpoch ?? 0;
  // A folder of the user's is used where it is.
  const weightsThere = model.source === "path" || (target === "local" ? folder !== undefined : undefined);
  const disk = diskFindings(rendered, { shape, training, steps: known?.steps, tokens, host, weightsThere });
  const time = timeFindings(experiment, { shape, training, hardware, known, report: data, price: plan?.price });
  return [
    ...findings,
    ...(plan === undefined ? cardFindings(experiment, hardware) : plan.findings),
    ...memoryFindings(experiment, { shape, training, hardware }),
    ...disk,
    ...time,
    ...billOf(experiment, plan, { disk, time, atMost: known?.atMost === true }),
  ];
}

/** What is to be started for it. A machine that is there tells itself what it has; a node of a cluster of our own does not. */
function planOf(
  experiment: Experiment,
  estimated: { readonly shape: ModelShape; readonly training: Training },
  host: HostFacts | undefined,
): MachinePlan | undefined {
  const cluster = ownCluster(experiment);
  if (cluster !== undefined) return planNode(experiment, cluster, estimated);
  return experiment.target === "aws" && host === undefined ? planMachine(experiment, estimated) : undefined;
}

function billOf(
  experiment: Experiment,
  plan: MachinePlan | undefined,
  found: Parameters<typeof billFindings>[2],
): CheckFinding[] {
  if (plan === undefined) return [];
  const config = ownCluster(experiment);
  return config === undefined
    ? billFindings(experiment, plan, found)
    : clusterBill(experiment, { config, plan }, found);
}
