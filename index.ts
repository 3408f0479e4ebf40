import { resolve } from "node:path";
import { allConfig, Config, getProject, getStack, RunError } from "./provider/pulumi.ts";
import { Experiment } from "./components/experiment.ts";
import { targetOf } from "./components/target.ts";
import { configValues } from "./recipe/config-values.ts";
import type { Experiment as ExperimentConfig } from "./recipe/experiment.ts";
import { Fault } from "./recipe/fault.ts";
import { readRunnableExperiment } from "./recipe/runnable-experiment.ts";
import { hostSpecOf } from "./recipe/target-host.ts";
import { homeOf } from "./recipe/home.ts";
import { pinsFile } from "./recipe/pins.ts";
import { trainingPart } from "./recipe/render.ts";

const project = getProject();
const stack = getStack();
const config = readConfig();

const pins = pinsFile(resolve("stacks"), stack);
const target = await targetOf(stack, hostSpecOf(config, process.env, stack), config, isFinished);
const hubToken = new Config().getSecret("hubToken");
const experiment = new Experiment(stack, { config, target, hubToken, pins });

/** Name of the run, a hash of what decides its result. */
export const run = experiment.run;
/** Folder of the run: config, logs, metrics, checkpoints and artifact. */
export const directory = experiment.job.directory;
/** Id of the machine that was started for it, on aws. */
export const machine = target.machine;
/** Base URL of the chat endpoint; `<url>/v1` for OpenAI clients, itself for a browser. */
export const url = experiment.endpoint?.url;
/** Base URL of the load balancer, where `aws.publicChat` asks for one: the certificate's name has to lead to it. */
export const publicUrl = target.publicUrl;
/** Key of the endpoint, a secret: `pulumi stack output apiKey --show-secrets`. */
export const apiKey = experiment.endpoint?.apiKey;
/** Model names that the endpoint takes. */
export const models = experiment.endpoint?.models;
/** Folder of the adapter (or weights) when the run is complete. */
export const artifact = experiment.completion?.artifact;
/** Loss at the last logged step. */
export const finalLoss = experiment.completion?.finalLoss;
/** Seconds of training. */
export const trainSeconds = experiment.completion?.trainSeconds;

/** Is the run of this config complete, and what it left whole on this machine? Asked only where a machine would be started for it. */
async function isFinished(): Promise<boolean> {
  const { finishedRun } = await import("./provider/finished.ts");
  const { train, datasets, model, serve } = config;
  const inputs = { experiment: stack, train: trainingPart(train), datasets, model, checkpoint: serve.checkpoint, pins };
  return (await finishedRun(inputs, homeOf(process.env))) !== undefined;
}

/** The stack's config as an experiment. Every fault at once, each in a sentence: RunError is shown without a stack. */
function readConfig(): ExperimentConfig {
  const result = readRunnableExperiment(configValues(project, allConfig()), process.cwd());
  if (result.experiment !== undefined) return result.experiment;
  const sentences = result.faults.map((fault) => `  ${project}:${new Fault(fault).sentence}`);
  throw new RunError([`stacks/Pulumi.${stack}.yaml can't be run:`, ...sentences].join("\n"));
}
