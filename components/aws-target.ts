import { ComponentResource, type ComponentResourceOptions, type Input, output, type Output } from "@pulumi/pulumi";
import type { HostSpec } from "../recipe/host.ts";
import type { Target } from "./target-kind.ts";

/** Arguments of AwsTarget. */
export interface AwsTargetArgs {
  /** Instance types in order of preference, e.g. `["g6e.xlarge", "g5.xlarge"]`. */
  readonly instanceTypes: Input<string[]>;
  /** Availability zone of the volume, and so of the instance: from config, never from the instance. */
  readonly availabilityZone: Input<string>;
  /** Size of the data volume in GiB; it outlives the instance. */
  readonly volumeSizeGiB: Input<number>;
  /** Address of the machine for OpenSSH. Provisioning it belongs to the release that brings this target. */
  readonly address: Input<string>;
  /** Mount point of the data volume. Default: /var/lib/tuneup. */
  readonly dataDirectory?: Input<string>;
}

/** An EC2 GPU machine: once it is there, it is an SSH host. `tuneup:target: aws` is refused until it is provisioned here. */
export class AwsTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;

  constructor(name: string, args: AwsTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsTarget", name, {}, options);
    const { address, dataDirectory = "/var/lib/tuneup" } = args;
    this.host = output({ kind: "ssh" as const, address, dataDirectory });
    this.registerOutputs({ host: this.host });
  }
}
