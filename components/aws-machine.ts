import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  output,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { Instance } from "@pulumi/aws/ec2/instance.js";
import { VolumeAttachment } from "@pulumi/aws/ec2/volumeAttachment.js";
import type { Ends } from "../recipe/aws/ends.ts";
import type { Tags } from "../recipe/aws/tags.ts";
import { userData } from "../recipe/aws/user-data.ts";
import type { Network } from "./aws-network.ts";

/** Arguments of AwsMachine. */
export interface AwsMachineArgs {
  readonly instanceType: string;
  readonly zone: string;
  /** Id of the image; a machine that is there keeps its own. */
  readonly ami: string;
  readonly network: Network;
  /** Name of the instance profile. */
  readonly profileName: Input<string>;
  readonly volumeId: Input<string>;
  /** Where the volume is mounted. */
  readonly mountPoint: string;
  readonly leaseHours: number;
  /** When it ends before that. Default: never. */
  readonly ends?: Ends | undefined;
  /** Name for people. */
  readonly machineName: string;
  /** Its own, with the end of its lease. */
  readonly tags: Tags;
  /** What has to be there first. */
  readonly after: readonly Resource[];
}

/**
 * The machine, with the data volume attached. Costs what its instance type costs by the hour (docs/aws.md) until its lease ends or the stack is
 * destroyed: when it powers off it is gone. What it is told at its start decides when it ends, so a change of that makes another machine, which goes
 * on with the run from its last checkpoint.
 */
export class AwsMachine extends ComponentResource {
  public readonly instanceId: Output<string>;
  public readonly attachment: Resource;

  constructor(name: string, args: AwsMachineArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsMachine", name, {}, options);
    const { instanceType, zone, ami, network, volumeId, mountPoint, leaseHours, ends, machineName, tags } = args;
    const instance = new Instance(
      name,
      {
        ...{ ami, instanceType, availabilityZone: zone, subnetId: network.subnetId },
        vpcSecurityGroupIds: [network.groupId],
        ...{ associatePublicIpAddress: false, iamInstanceProfile: args.profileName },
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        // Without tags: they can't be given at its making, and who may tag any volume afterwards may take it over. It goes with the machine.
        rootBlockDevice: { volumeType: "gp3", encrypted: true, deleteOnTermination: true },
        instanceInitiatedShutdownBehavior: "terminate",
        userData: output(volumeId).apply((id) => userData({ volumeId: id, mountPoint, leaseHours, ends })),
        userDataReplaceOnChange: true,
        tags: { ...tags, Name: machineName },
      },
      {
        parent: this,
        // An attached volume blocks the replacement of its machine (pulumi-aws#2769).
        deleteBeforeReplace: true,
        // AWS would stop it, change it and start it again, with nothing of ours running on it.
        replaceOnChanges: ["instanceType"],
        // A newer image is for the next machine.
        ignoreChanges: ["ami"],
        dependsOn: [...args.after],
      },
    );
    this.instanceId = instance.id;
    this.attachment = new VolumeAttachment(
      name,
      // A machine that is terminated lets go of its volume by itself, after its file systems are closed.
      { deviceName: "/dev/sdf", instanceId: instance.id, volumeId, skipDestroy: true },
      { parent: this, deleteBeforeReplace: true },
    );
    this.registerOutputs({ instanceId: this.instanceId });
  }
}
