import { ComponentResource, type ComponentResourceOptions, type Output } from "../provider/pulumi.ts";
import { Volume } from "@pulumi/aws/ebs/volume.js";
import { kept, tagNames, type Tags } from "../recipe/aws/tags.ts";
import type { FoundVolume } from "./aws-lookup.ts";

/** Arguments of AwsVolume. */
export interface AwsVolumeArgs {
  readonly zone: string;
  readonly sizeGiB: number;
  readonly type: "gp3" | "gp2";
  /** Name for people. */
  readonly volumeName: string;
  readonly tags: Tags;
  /** The stack's volume that is there already. Default: a new one is made. */
  readonly found?: FoundVolume | undefined;
}

/**
 * The data directory: an encrypted volume that `destroy` leaves and the next `up` takes up again by its tags. Costs 0.08 USD a GiB and month (gp3,
 * us-east-1) until someone deletes it. It grows and never shrinks.
 */
export class AwsVolume extends ComponentResource {
  public readonly volumeId: Output<string>;

  constructor(name: string, args: AwsVolumeArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsVolume", name, {}, options);
    const { found, zone } = args;
    const wanted = {
      size: Math.max(args.sizeGiB, found?.sizeGiB ?? 0),
      type: args.type as string,
      tags: { ...args.tags, [tagNames.expiry]: kept, [tagNames.volume]: "data", Name: args.volumeName },
    };
    // Pulumi takes up only what is as declared: what has to change waits for the `up` after that.
    const now = found?.attached === false ? { size: found.sizeGiB, type: found.type, tags: found.tags } : wanted;
    const volume = new Volume(
      name,
      { availabilityZone: zone, encrypted: true, ...now },
      { parent: this, retainOnDelete: true, ...(found === undefined ? {} : { import: found.id }) },
    );
    this.volumeId = volume.id;
    this.registerOutputs({ volumeId: this.volumeId });
  }
}
