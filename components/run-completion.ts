import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import type { HostSpec } from "../recipe/host.ts";
import { RunCompletionResource } from "../provider/sdk.ts";
import type { ChatEndpoint } from "./chat-endpoint.ts";
import type { SftJob } from "./sft-job.ts";

/** Arguments of RunCompletion. */
export interface RunCompletionArgs {
  readonly host: Input<HostSpec>;
  /** Id of the machine, where it may become another (`Target.machine`). Default: it never does. */
  readonly machine?: Input<string> | undefined;
  readonly experiment: Input<string>;
  readonly job: SftJob;
  /** What trains the run, where it is declared beside the job. Default: the agent itself. */
  readonly trainer?: Resource | undefined;
  /** Wait until it answers as well. Default: wait for the run alone. */
  readonly endpoint?: ChatEndpoint | undefined;
  /** May it be destroyed although the run's artifact lies on another host alone? Default: false. */
  readonly discard?: boolean | undefined;
}

/** Waits for a run, with progress, and gives its results. Leave it out and `up` returns while the run goes on. */
export class RunCompletion extends ComponentResource {
  /** Optimizer steps done. */
  public readonly steps: Output<number>;
  /** Seconds of training, over all attempts. */
  public readonly trainSeconds: Output<number>;
  /** Loss at the last logged step. */
  public readonly finalLoss: Output<number | undefined>;
  /** Folder of the adapter (or weights) on the host. */
  public readonly artifact: Output<string>;
  /** The loss curve as PNG. */
  public readonly lossCurve: Output<string>;

  constructor(name: string, args: RunCompletionArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:RunCompletion", name, {}, options);
    const { host, machine, experiment, job, endpoint, trainer } = args;
    const dependsOn = [endpoint, trainer].filter((one) => one !== undefined);
    // Left out where it is the default: the state of older releases does not know it.
    const discard = args.discard === true ? true : undefined;
    const inputs = { host, machine, experiment, run: job.run, endpoint: endpoint !== undefined, discard };
    const completion = new RunCompletionResource(name, inputs, { parent: this, dependsOn });
    this.steps = completion.steps;
    this.trainSeconds = completion.trainSeconds;
    this.finalLoss = completion.finalLoss;
    this.artifact = completion.artifact;
    this.lossCurve = completion.lossCurve;
    const { steps, trainSeconds, finalLoss, artifact, lossCurve } = this;
    this.registerOutputs({ steps, trainSeconds, finalLoss, artifact, lossCurve });
  }
}
