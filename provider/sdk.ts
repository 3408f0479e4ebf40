import { CustomResource, type CustomResourceOptions, type Input, type Output } from "./pulumi.ts";
import type { HostSpec } from "../recipe/host.ts";
import type { OwnEngine } from "../recipe/engines.ts";
import type { ModelSource } from "../recipe/sources.ts";
import type { DatasetSource } from "../recipe/experiment-schema.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { ServedTls } from "../recipe/tls.ts";
import type { Variant } from "../recipe/variants.ts";

/** The resources of the package `tuneup-host` as a Pulumi program declares them. What each does: provider/resources. */

type Options = CustomResourceOptions | undefined;

/** Inputs of Environment. */
export interface EnvironmentArgs {
  readonly host: Input<HostSpec>;
  readonly machine?: Input<string> | undefined;
  readonly device: Input<"auto" | "cpu" | "cuda">;
  readonly extras?: Input<Variant[]> | undefined;
  readonly engine?: Input<OwnEngine> | undefined;
}

/** LLaMA-Factory's locked Python environment on a host, or an engine's own. */
export class EnvironmentResource extends CustomResource {
  declare readonly path: Output<string>;
  declare readonly torchDevice: Output<"cpu" | "cuda">;
  declare readonly torch: Output<string>;

  constructor(name: string, args: EnvironmentArgs, options: Options) {
    super(
      "tuneup-host:index:Environment",
      name,
      { ...unknowns("path", "lock", "torchDevice", "deviceName", "torch", "bytes", "state"), ...args },
      options,
    );
  }
}

/** Inputs of ModelWeights. */
export interface ModelWeightsArgs {
  readonly host: Input<HostSpec>;
  readonly machine?: Input<string> | undefined;
  readonly model: Input<ModelSource>;
  readonly environment: Input<string>;
  readonly hubToken?: Input<string> | undefined;
  readonly pins?: Input<string> | undefined;
}

/** The base model as a verified folder on a host. */
export class ModelWeightsResource extends CustomResource {
  declare readonly path: Output<string>;
  declare readonly revision: Output<string>;
  declare readonly bytes: Output<number>;

  constructor(name: string, args: ModelWeightsArgs, options: Options) {
    super(
      "tuneup-host:index:ModelWeights",
      name,
      { ...unknowns("path", "revision", "bytes", "state"), ...args },
      options,
    );
  }
}

/** Inputs of Dataset. */
export interface DatasetArgs {
  readonly host: Input<HostSpec>;
  readonly machine?: Input<string> | undefined;
  readonly datasets: Input<DatasetSource[]>;
  readonly pins?: Input<string> | undefined;
  readonly hubToken?: Input<string> | undefined;
}

/** The experiment's datasets, registered for LLaMA-Factory. */
export class DatasetResource extends CustomResource {
  declare readonly path: Output<string>;
  declare readonly names: Output<string[]>;
  declare readonly rows: Output<number>;

  constructor(name: string, args: DatasetArgs, options: Options) {
    super(
      "tuneup-host:index:Dataset",
      name,
      { ...unknowns("path", "names", "rows", "digest", "state"), ...args },
      options,
    );
  }
}

/** Inputs of SftJob. */
export interface SftJobArgs {
  readonly host: Input<HostSpec>;
  readonly machine?: Input<string> | undefined;
  readonly experiment: Input<string>;
  readonly train: Input<Record<string, unknown>>;
  readonly datasets: Input<DatasetSource[]>;
  readonly pins?: Input<string> | undefined;
  readonly model: Input<ModelSource>;
  readonly checkpoint: Input<"last" | "best">;
  readonly environment: Input<string>;
  readonly device: Input<"cpu" | "cuda">;
  readonly weights: Input<string>;
  readonly datasetPath: Input<string>;
  readonly datasetNames: Input<string[]>;
  readonly config: Input<Record<string, unknown>>;
  readonly processes?: Input<{ nodes: number; perNode: number }> | undefined;
  readonly artifacts?: Input<string> | undefined;
  readonly discard?: Input<boolean> | undefined;
}

/** One training, declared and not waited for. */
export class SftJobResource extends CustomResource {
  declare readonly run: Output<string>;
  declare readonly directory: Output<string>;

  constructor(name: string, args: SftJobArgs, options: Options) {
    super("tuneup-host:index:SftJob", name, { ...unknowns("run", "directory", "state"), ...args }, options);
  }
}

/** `tuneup:serve` as the provider takes it: `tls` is left out where it is plain http. */
export type ServedEndpoint = Omit<Experiment["serve"], "enabled" | "checkpoint" | "tls"> & { readonly tls?: ServedTls };

/** Inputs of ChatEndpoint. */
export interface ChatEndpointArgs {
  readonly host: Input<HostSpec>;
  readonly machine?: Input<string> | undefined;
  readonly experiment: Input<string>;
  readonly serve: Input<ServedEndpoint>;
  readonly train: Input<Record<string, unknown>>;
  readonly adapter?: Input<string> | undefined;
  readonly run: Input<string>;
  readonly environment: Input<string>;
  readonly device: Input<"cpu" | "cuda">;
  readonly weights: Input<string>;
  readonly weightsBytes: Input<number>;
  readonly discard?: Input<boolean> | undefined;
}

/** The chat API of an experiment. */
export class ChatEndpointResource extends CustomResource {
  declare readonly url: Output<string>;
  declare readonly apiKey: Output<string>;
  declare readonly models: Output<string[]>;
  /** Changes with what the endpoint is declared with; on a cluster alone. */
  declare readonly revision: Output<string>;

  constructor(name: string, args: ChatEndpointArgs, options: Options) {
    const secret = { additionalSecretOutputs: ["apiKey"] };
    super(
      "tuneup-host:index:ChatEndpoint",
      name,
      { ...unknowns("url", "apiKey", "models", "revision", "state"), ...args },
      { ...options, ...secret },
    );
  }
}

/** Inputs of RunCompletion. */
export interface RunCompletionArgs {
  readonly host: Input<HostSpec>;
  readonly machine?: Input<string> | undefined;
  readonly experiment: Input<string>;
  readonly run: Input<string>;
  readonly endpoint: Input<boolean>;
  readonly discard?: Input<boolean> | undefined;
}

/** Waits for a run and gives its results. */
export class RunCompletionResource extends CustomResource {
  declare readonly steps: Output<number>;
  declare readonly trainSeconds: Output<number>;
  declare readonly finalLoss: Output<number | undefined>;
  declare readonly artifact: Output<string>;
  declare readonly lossCurve: Output<string>;

  constructor(name: string, args: RunCompletionArgs, options: Options) {
    const outputs = unknowns(
      "steps",
      "trainSeconds",
      "finalLoss",
      "totalTokens",
      "artifact",
      "lossCurve",
      "completedAt",
      "state",
    );
    super("tuneup-host:index:RunCompletion", name, { ...outputs, ...args }, options);
  }
}

/** Names of outputs, so that the SDK makes a property of each. */
function unknowns(...names: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
