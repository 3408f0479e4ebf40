import { ComponentResource, type ComponentResourceOptions, type Input, type Output } from "../provider/pulumi.ts";
import type { HostSpec } from "../recipe/host.ts";
import type { OwnEngine } from "../recipe/engines.ts";
import type { Variant } from "../recipe/variants.ts";
import { EnvironmentResource } from "../provider/sdk.ts";

/** Arguments of Environment. */
export interface EnvironmentArgs {
  /** The machine that trains and serves. */
  readonly host: Input<HostSpec>;
  /** Id of the machine, where it may become another (`Target.machine`). Default: it never does. */
  readonly machine?: Input<string> | undefined;
  /** What torch is for: `auto` takes the GPU if there is one. Default: `auto`. */
  readonly device?: Input<"auto" | "cpu" | "cuda">;
  /** What it has beyond the base, as `variantsFor` says. Default: nothing. */
  readonly extras?: readonly Variant[];
  /** Whose environment it is, beside the one that trains: an engine whose packages can't be had together with that. Default: the one that trains. */
  readonly engine?: OwnEngine | undefined;
}

/**
 * LLaMA-Factory 0.9.5 in a virtual environment of its own, from a hash-locked list, proven by one operation on the
 * device that will train. About 5 GB on disk, shared by all experiments of the same release and extras; `destroy` keeps it. An engine's own: vLLM's takes about 10 GB.
 */
export class Environment extends ComponentResource {
  /** Folder of the virtual environment on the host. */
  public readonly path: Output<string>;
  /** What the self-test ran on. */
  public readonly device: Output<"cpu" | "cuda">;

  constructor(name: string, args: EnvironmentArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:Environment", name, {}, options);
    const { host, machine, device = "auto", extras = [], engine } = args;
    // An empty list would be a change to the state of a release that knew no extras.
    const beyond = extras.length === 0 ? {} : { extras: [...extras] };
    const own = engine === undefined ? {} : { engine };
    const environment = new EnvironmentResource(name, { host, machine, device, ...beyond, ...own }, { parent: this });
    this.path = environment.path;
    this.device = environment.torchDevice;
    this.registerOutputs({ path: this.path, device: this.device });
  }
}
