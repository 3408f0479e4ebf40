import { ComponentResource, type ComponentResourceOptions, type Input, type Output } from "../provider/pulumi.ts";
import type { DatasetSource } from "../recipe/experiment-schema.ts";
import type { HostSpec } from "../recipe/host.ts";
import { DatasetResource } from "../provider/sdk.ts";

/** Arguments of Dataset. */
export interface DatasetArgs {
  /** The machine that trains. */
  readonly host: Input<HostSpec>;
  /** Id of the machine, where it may become another (`Target.machine`). Default: it never does. */
  readonly machine?: Input<string> | undefined;
  /** As under `tuneup:datasets`; file paths are absolute. */
  readonly datasets: Input<DatasetSource[]>;
  /** Path of the experiment's lock file, where hub revisions are pinned. Default: they are not. */
  readonly pins?: Input<string> | undefined;
  /** Token of the hub, for gated datasets; a secret. Default: none. */
  readonly hubToken?: Input<string> | undefined;
}

/** Datasets, checked row by row and registered in a dataset_info.json of their own. `destroy` keeps them. */
export class Dataset extends ComponentResource {
  /** LLaMA-Factory's `dataset_dir` on the host. */
  public readonly path: Output<string>;
  /** Names as registered, in order. */
  public readonly names: Output<string[]>;
  /** Rows of all together. */
  public readonly rows: Output<number>;

  constructor(name: string, args: DatasetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:Dataset", name, {}, options);
    const dataset = new DatasetResource(name, args, { parent: this });
    this.path = dataset.path;
    this.names = dataset.names;
    this.rows = dataset.rows;
    this.registerOutputs({ path: this.path, names: this.names, rows: this.rows });
  }
}
