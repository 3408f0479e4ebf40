import {
  ComponentResource,
  type ComponentResourceOptions,
  output,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import type { Tags } from "../recipe/aws/tags.ts";
import { AwsMachineGroup } from "./aws-groups.ts";
import type { GivenNetwork } from "./aws-lookup.ts";
import type { Network, PublicNetwork } from "./aws-network.ts";

/** Arguments of AwsGivenNetwork. */
export interface AwsGivenNetworkArgs {
  /** The VPC and the subnet of the zone, as they were found. */
  readonly found: GivenNetwork;
  readonly groupName: string;
  readonly tags: Tags;
}

/** A network that is there already: nothing of it is changed, and only the machine's group is made. Costs nothing itself. */
export class AwsGivenNetwork extends ComponentResource implements Network {
  public readonly subnetId: Output<string>;
  public readonly subnetIds: Output<readonly string[]>;
  public readonly groupId: Output<string>;
  public readonly ready: readonly Resource[];
  public readonly open: PublicNetwork | undefined;

  constructor(name: string, args: AwsGivenNetworkArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsGivenNetwork", name, {}, options);
    const { found, groupName, tags } = args;
    const group = new AwsMachineGroup(name, { groupName, vpcId: found.vpcId, tags }, { parent: this });
    this.subnetId = output(found.subnetId);
    this.subnetIds = output(found.subnetIds ?? [found.subnetId]).apply((ids) => [...ids]);
    this.groupId = group.groupId;
    this.ready = group.rules;
    const { vpcId, publicSubnetIds } = found;
    this.open = publicSubnetIds === undefined ? undefined : { vpcId, subnetIds: publicSubnetIds, ready: [] };
    this.registerOutputs({ subnetId: this.subnetId, groupId: this.groupId });
  }
}
