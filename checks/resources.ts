import { renderTraining } from "../recipe/render.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import { trainingOf } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { DataReport } from "./datasets/report.ts";
import { diskFindings } from "./disk.ts";
import { cardFindings, type HostFacts, hardwareOf } from "./hardware.ts";
import { memoryFindings } from "./memory.ts";
import { modelShapeOf } from "./model-shape.ts";
import { stepsOfRun, timeFindings } from "./time.ts";

/** What is known beside the experiment's text. */
export interface ResourceQuestion {
  readonly home: string;
  readonly host?: HostFacts | undefined;
  readonly data?: DataReport | undefined;
}

/** Stand for paths that decide no figure. */
const paths = { weights: "/weights", datasets: "/datasets", output: "/output" };

/** Memory, disk, time and price, and what of the model's shape and the card forbids the training. No network. */
export async function resourceFindings(experiment: Experiment, question: ResourceQuestion): Promise<CheckFinding[]> {
  const { home, host, data } = question;
  const hardware = hardwareOf(experiment, host);
  const { shape, findings } = await modelShapeOf(experiment, home);
  const found = [...findings, ...cardFindings(experiment, hardware)];
  if (shape === undefined) return found;
  const rendered = { ...experiment, train: renderTraining(experiment.train, [], paths, hardware.device) };
  const training = trainingOf(rendered.train, shape, hardware.gpus);
  const known = stepsOfRun(experiment, data, hardware.gpus);
  const tokens = data?.tokens?.perEpoch ?? 0;
  return [
    ...found,
    ...memoryFindings(experiment, { shape, training, hardware }),
    ...diskFindings(rendered, { shape, training, steps: known?.steps, tokens, host }),
    ...timeFindings(experiment, { shape, training, hardware, known, report: data }),
  ];
}
