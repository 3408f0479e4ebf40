import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  output,
  secret,
} from "../provider/pulumi.ts";
import type { TrainArguments } from "../recipe/arguments.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { HostSpec } from "../recipe/host.ts";
import { ChatEndpointResource, type ServedEndpoint } from "../provider/sdk.ts";
import { tlsOf } from "../recipe/tls.ts";
import type { Environment } from "./environment.ts";
import type { ModelWeights } from "./model-weights.ts";
import type { SftJob } from "./sft-job.ts";

/** Arguments of ChatEndpoint. */
export interface ChatEndpointArgs {
  /** The machine that serves. */
  readonly host: Input<HostSpec>;
  /** Id of the machine, where it may become another (`Target.machine`). Default: it never does. */
  readonly machine?: Input<string> | undefined;
  /** Name of the experiment, and of its model in the API. */
  readonly experiment: Input<string>;
  /** As under `tuneup:serve`, without `enabled`. */
  readonly serve: Input<Omit<Experiment["serve"], "enabled" | "checkpoint">>;
  /** The run's arguments: template, system prompt and method are the same in serving. */
  readonly train: TrainArguments;
  /** The adapters that the training went on from, as in `tuneup:model.adapter`. Default: none. */
  readonly adapter?: Input<string> | undefined;
  readonly job: SftJob;
  readonly environment: Environment;
  readonly weights: ModelWeights;
  /** May it be destroyed although the run's artifact lies on another host alone? Default: false. */
  readonly discard?: boolean | undefined;
}

/**
 * The OpenAI-compatible chat API of an experiment, with a key of its own, its web page and its health. It is there at
 * once and answers 503 with the progress until its run is complete. Its key survives destroy and up.
 */
export class ChatEndpoint extends ComponentResource {
  /** Base URL; OpenAI clients take it with `/v1`. */
  public readonly url: Output<string>;
  /** The key; a secret. */
  public readonly apiKey: Output<string>;
  /** Model names that it takes. */
  public readonly models: Output<string[]>;
  /** On a cluster: changes where its Pods have to be others. */
  public readonly revision: Output<string>;

  constructor(name: string, args: ChatEndpointArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:ChatEndpoint", name, {}, options);
    const { host, experiment, serve, train, adapter, job, environment, weights } = args;
    const endpoint = new ChatEndpointResource(
      name,
      {
        host,
        machine: args.machine,
        experiment,
        serve: output(serve).apply(served),
        train: { ...train },
        adapter,
        run: job.run,
        environment: environment.path,
        device: environment.device,
        weights: weights.path,
        weightsBytes: weights.bytes,
        // Left out where it is the default: the state of older releases does not know it.
        discard: args.discard === true ? true : undefined,
      },
      { parent: this },
    );
    this.url = endpoint.url;
    this.apiKey = secret(endpoint.apiKey);
    this.models = endpoint.models;
    this.revision = endpoint.revision;
    this.registerOutputs({ url: this.url, models: this.models });
  }
}

/** What `serve.tls` comes to. Plain http is said by nothing, as in the state of older releases. */
function served({ tls: given, ...serve }: Omit<Experiment["serve"], "enabled" | "checkpoint">): ServedEndpoint {
  const tls = tlsOf({ host: serve.host, tls: given });
  return tls === undefined ? serve : { ...serve, tls };
}
