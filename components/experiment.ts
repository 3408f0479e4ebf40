import { ComponentResource, type ComponentResourceOptions, type Input, type Output } from "../provider/pulumi.ts";
import type { Experiment as ExperimentConfig } from "../recipe/experiment.ts";
import { engineOf } from "../recipe/engines.ts";
import { variantsFor } from "../recipe/variants.ts";
import { ChatEndpoint } from "./chat-endpoint.ts";
import { Dataset } from "./dataset.ts";
import { Environment } from "./environment.ts";
import { ModelWeights } from "./model-weights.ts";
import { RunCompletion } from "./run-completion.ts";
import { SftJob } from "./sft-job.ts";
import { gatewayPort } from "../recipe/kubernetes/pod.ts";
import { onCluster, processesOf } from "../recipe/target.ts";
import type { Target } from "./target-kind.ts";

/** Arguments of Experiment. */
export interface ExperimentArgs {
  /** What to train and serve, as `readExperiment` gives it; file paths are absolute. */
  readonly config: ExperimentConfig;
  /** Where. */
  readonly target: Target;
  /** Token of the hub, for gated models; a secret. Default: none. */
  readonly hubToken?: Input<string> | undefined;
  /** Path of the lock file where revisions are pinned (`pinsFile`). Default: they are not. */
  readonly pins?: Input<string> | undefined;
}

/**
 * A whole experiment: environment, weights, data, training, chat endpoint, results. Its name is the experiment's, and
 * the name of the model in the chat API.
 */
export class Experiment extends ComponentResource {
  public readonly job: SftJob;
  /** Undefined where `serve.enabled` is false, or `teardown` is after-training. */
  public readonly endpoint: ChatEndpoint | undefined;
  /** Undefined where `wait` is false. */
  public readonly completion: RunCompletion | undefined;
  /** Name of the run. */
  public readonly run: Output<string>;

  constructor(name: string, args: ExperimentArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:Experiment", name, {}, options);
    const { config, target, hubToken, pins } = args;
    const { host, machine } = target;
    const { model, datasets, train, serve: serving } = config;
    const own = { parent: this };

    const extras = variantsFor(train);
    const environment = new Environment(name, { host, machine, device: deviceOf(config), extras }, own);
    // Another adapter to go on from is another run on the same weights.
    const base = { ...model, adapter: undefined };
    const weights = new ModelWeights(name, { host, machine, model: base, environment, hubToken, pins }, own);
    const dataset = new Dataset(name, { host, machine, datasets, pins, hubToken }, own);
    const shared = { host, machine, experiment: name, environment, weights, train };
    // The checkpoint is chosen in training: the endpoint serves the run's result.
    const { enabled, checkpoint, ...serve } = serving;
    const { discard, when } = config.teardown;
    const artifacts = config.storage.artifacts ?? target.artifacts;
    const data = { datasets, pins, dataset, processes: processesOf(config), artifacts };
    this.job = new SftJob(name, { ...shared, ...data, model, checkpoint, discard, config: { ...config } }, own);

    // What computes is to end with the training: no engine is started then, and the supervisor ends by itself.
    const served = { ...shared, serve: servedBy(target, serve), adapter: model.adapter, job: this.job, discard };
    this.endpoint =
      enabled && when !== "after-training"
        ? new ChatEndpoint(name, { ...served, environment: engineEnvironment(name, args, own) ?? environment }, own)
        : undefined;
    const trainer = target.training?.({ run: this.job.run });
    // What serves on a cluster takes a card of its own, so it comes when the training has given its own back.
    const awaited = target.endpoint === undefined ? this.endpoint : undefined;
    this.completion = config.wait
      ? new RunCompletion(
          name,
          { host, machine, experiment: name, job: this.job, trainer, endpoint: awaited, discard },
          own,
        )
      : undefined;
    if (this.endpoint !== undefined) {
      const { revision, apiKey } = this.endpoint;
      const after = this.completion ?? trainer;
      const dependsOn = [this.endpoint, ...(after === undefined ? [] : [after])];
      const tls = typeof serve.tls === "object" || serve.tls === "self-signed";
      target.endpoint?.({ revision, apiKey, tls, dependsOn });
    }
    this.run = this.job.run;
    this.registerOutputs({ run: this.run });
  }
}

/** The environment of an engine that can't share the trainer's; undefined where the endpoint's can. */
function engineEnvironment(
  name: string,
  { config, target: { host, machine } }: ExperimentArgs,
  options: ComponentResourceOptions,
): Environment | undefined {
  const engine = engineOf(config);
  if (engine === undefined) return undefined;
  return new Environment(`${name}-${engine}`, { host, machine, device: "cuda", engine }, options);
}

type Serve = Omit<ExperimentConfig["serve"], "enabled" | "checkpoint">;

/** In a Pod of its own the gateway listens on the Pod's address, and who may reach it is the cluster's policy. */
function servedBy(target: Target, serve: Serve): Serve {
  if (target.endpoint === undefined) return { ...serve, ...target.listens };
  return { ...serve, host: "0.0.0.0", port: gatewayPort, tls: serve.tls === "auto" ? "off" : serve.tls };
}

/** A cluster can't be asked in advance what a Pod will find: no device means a GPU there. */
function deviceOf({ target, compute }: ExperimentConfig): ExperimentConfig["compute"]["device"] {
  return onCluster(target) && compute.device === "auto" ? "cuda" : compute.device;
}
