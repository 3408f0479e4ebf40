import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  output,
  type Output,
} from "../provider/pulumi.ts";
import { withoutUndefined } from "../recipe/defined.ts";
import type { Experiment } from "../recipe/experiment.ts";
import type { HostSpec } from "../recipe/host.ts";
import { machinesOf } from "../recipe/target.ts";
import type { Finished, Target } from "./target-kind.ts";

/** Arguments of LocalTarget. */
export interface LocalTargetArgs {
  /** Absolute path of the data directory on this machine. */
  readonly dataDirectory: Input<string>;
}

/** This machine: nothing is provisioned. */
export class LocalTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;

  constructor(name: string, args: LocalTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:LocalTarget", name, {}, options);
    this.host = output(args.dataDirectory).apply((dataDirectory) => ({ kind: "local" as const, dataDirectory }));
    this.registerOutputs({ host: this.host });
  }
}

/** Arguments of SshTarget: as `ssh` takes them. */
export interface SshTargetArgs {
  /** Any name that `ssh NAME` takes. */
  readonly address: Input<string>;
  /** Data directory there: absolute, or `~/...`. Default: ~/.local/share/tuneup. */
  readonly dataDirectory?: Input<string> | undefined;
  /** Default of these: what the user's ssh config says. */
  readonly user?: Input<string> | undefined;
  readonly port?: Input<number> | undefined;
  /** Path of the private key on this machine. */
  readonly identity?: Input<string> | undefined;
  /** Jump hosts, as `ssh -J` takes them. */
  readonly jump?: Input<string> | undefined;
  /** Push what the host needs from this machine even where it reaches the hubs. Default: false. */
  readonly offline?: Input<boolean> | undefined;
}

/** Any Linux machine that OpenSSH reaches: nothing is provisioned, and `destroy` leaves its data directory alone. */
export class SshTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;

  constructor(name: string, args: SshTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:SshTarget", name, {}, options);
    const { dataDirectory = "~/.local/share/tuneup", ...given } = args;
    this.host = output({ ...given, dataDirectory }).apply((spec) =>
      withoutUndefined({ kind: "ssh" as const, ...spec }),
    );
    this.registerOutputs({ host: this.host });
  }
}

/**
 * The target of an experiment, by its host. What a cluster or AWS needs is loaded for it alone. `isFinished`: asked where a machine would be
 * started; default: it is not.
 */
export async function targetOf(
  name: string,
  host: HostSpec,
  config: Experiment,
  isFinished: Finished = () => Promise.resolve(false),
): Promise<Target> {
  if (host.kind === "local") return new LocalTarget(name, host);
  if (host.kind === "ssh") return new SshTarget(name, host);
  if (host.kind === "aws") {
    const { awsTarget } = await import("./aws.ts");
    return awsTarget(name, { host, config, isFinished });
  }
  if (host.eks !== undefined) {
    const { eksTarget } = await import("./eks-target.ts");
    return eksTarget(name, { host, config, isFinished });
  }
  const { KubernetesTarget } = await import("./kubernetes-target.ts");
  const publishes = config.storage.artifacts !== undefined;
  return new KubernetesTarget(name, { config: config.kubernetes, host, publishes, ...machinesOf(config) });
}
