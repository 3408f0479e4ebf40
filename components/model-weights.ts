import { ComponentResource, type ComponentResourceOptions, type Input, type Output } from "../provider/pulumi.ts";
import type { HostSpec } from "../recipe/host.ts";
import type { ModelSource } from "../recipe/sources.ts";
import { ModelWeightsResource } from "../provider/sdk.ts";
import type { Environment } from "./environment.ts";

/** Arguments of ModelWeights. */
export interface ModelWeightsArgs {
  /** The machine that keeps the weights. */
  readonly host: Input<HostSpec>;
  /** Id of the machine, where it may become another (`Target.machine`). Default: it never does. */
  readonly machine?: Input<string> | undefined;
  /** Where the model comes from, e.g. `{ source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" }`. */
  readonly model: Input<ModelSource>;
  /** Whose Python fetches and converts. */
  readonly environment: Environment;
  /** Token of the hub, for gated models; a secret. Default: none. */
  readonly hubToken?: Input<string> | undefined;
  /** Path of the experiment's lock file, where the revision is pinned. Default: it is not. */
  readonly pins?: Input<string> | undefined;
}

/** The base model as a verified safetensors folder, fetched once a revision and shared. `destroy` keeps it. */
export class ModelWeights extends ComponentResource {
  /** Folder of the weights on the host. */
  public readonly path: Output<string>;
  /** What was fetched: a hub's commit or a package's version. */
  public readonly revision: Output<string>;
  /** Size of all files. */
  public readonly bytes: Output<number>;

  constructor(name: string, args: ModelWeightsArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:ModelWeights", name, {}, options);
    const { host, machine, model, environment, hubToken, pins } = args;
    const inputs = { host, machine, model, environment: environment.path, hubToken, pins };
    const weights = new ModelWeightsResource(name, inputs, { parent: this });
    this.path = weights.path;
    this.revision = weights.revision;
    this.bytes = weights.bytes;
    this.registerOutputs({ path: this.path, revision: this.revision, bytes: this.bytes });
  }
}
