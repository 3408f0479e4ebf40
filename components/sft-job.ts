import { ComponentResource, type ComponentResourceOptions, type Input, type Output } from "../provider/pulumi.ts";
import type { TrainArguments } from "../recipe/arguments.ts";
import type { DatasetSource } from "../recipe/experiment-schema.ts";
import type { HostSpec } from "../recipe/host.ts";
import { trainingPart } from "../recipe/render.ts";
import type { ModelSource } from "../recipe/sources.ts";
import { SftJobResource } from "../provider/sdk.ts";
import type { Dataset } from "./dataset.ts";
import type { Environment } from "./environment.ts";
import type { ModelWeights } from "./model-weights.ts";

/** Arguments of SftJob. */
export interface SftJobArgs {
  /** The machine that trains. */
  readonly host: Input<HostSpec>;
  /** Id of the machine, where it may become another (`Target.machine`). Default: it never does. */
  readonly machine?: Input<string> | undefined;
  /** Name of the experiment; the run's name begins with it. */
  readonly experiment: Input<string>;
  /** LLaMA-Factory's own arguments; those that tuneup owns left out. */
  readonly train: TrainArguments;
  /** The same that `dataset` and `weights` were made from: the run's name is known from them before those are. */
  readonly datasets: Input<DatasetSource[]>;
  readonly model: Input<ModelSource>;
  /** Path of the experiment's lock file, where hub revisions are pinned. Default: they are not. */
  readonly pins?: Input<string> | undefined;
  /** What is kept as the result: the last step, or the one with the lowest eval_loss. Default: last. */
  readonly checkpoint?: Input<"last" | "best">;
  readonly environment: Environment;
  readonly weights: ModelWeights;
  readonly dataset: Dataset;
  /** Machines, and processes on each, that train together. Default: one process. */
  readonly processes?: { readonly nodes: number; readonly perNode: number } | undefined;
  /** s3://bucket/prefix where checkpoints and result are published. Default: nowhere. */
  readonly artifacts?: string | undefined;
  /** Shown with the run; no secrets. Default: nothing. */
  readonly config?: Input<Record<string, unknown>>;
  /** May it be destroyed although its artifact lies on another host alone? Default: false. */
  readonly discard?: boolean | undefined;
}

/**
 * One fine-tuning by LLaMA-Factory. It runs detached: neither Ctrl-C nor a closed laptop ends it. A change of what
 * decides its result makes a new run; a finished run never trains again. `destroy` stops it and keeps its artifacts.
 */
export class SftJob extends ComponentResource {
  /** Name of the run: the experiment's and a hash of what decides the result. */
  public readonly run: Output<string>;
  /** Folder of the run on the host. */
  public readonly directory: Output<string>;

  constructor(name: string, args: SftJobArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:SftJob", name, {}, options);
    const { host, experiment, datasets, model, environment, weights, dataset, config = {}, checkpoint = "last" } = args;
    const job = new SftJobResource(
      name,
      {
        host,
        machine: args.machine,
        experiment,
        train: { ...trainingPart(args.train) },
        datasets,
        pins: args.pins,
        model,
        checkpoint,
        config,
        // Left out where there is one, as in the state of older releases.
        processes: args.processes,
        artifacts: args.artifacts,
        // Left out where it is the default: the state of older releases does not know it.
        discard: args.discard === true ? true : undefined,
        environment: environment.path,
        device: environment.device,
        weights: weights.path,
        datasetPath: dataset.path,
        datasetNames: dataset.names,
      },
      { parent: this },
    );
    this.run = job.run;
    this.directory = job.directory;
    this.registerOutputs({ run: this.run, directory: this.directory });
  }
}
