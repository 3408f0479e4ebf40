import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { SecurityGroup } from "@pulumi/aws/ec2/securityGroup.js";
import { SecurityGroupEgressRule } from "@pulumi/aws/vpc/securityGroupEgressRule.js";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsMachineGroup. */
export interface AwsMachineGroupArgs {
  /** What the name of the group begins with. */
  readonly groupName: string;
  readonly vpcId: Input<string>;
  readonly tags: Tags;
  /** What the machine may connect to. Default: the internet, by https and http. */
  readonly to?: Readonly<Record<string, EgressPeer>>;
}

/** Where one rule lets something out to. */
export interface EgressPeer {
  readonly ipProtocol: "tcp";
  readonly fromPort: number;
  readonly toPort: number;
  readonly cidrIpv4?: Input<string>;
  readonly referencedSecurityGroupId?: Input<string>;
  readonly prefixListId?: Input<string>;
}

const tcp = (port: number) => ({ ipProtocol: "tcp", fromPort: port, toPort: port }) as const;

/** https, as all that a machine needs speaks it. */
export const https = tcp(443);

const internet: Readonly<Record<string, EgressPeer>> = {
  https: { ...https, cidrIpv4: "0.0.0.0/0" },
  // Packages of Ubuntu.
  http: { ...tcp(80), cidrIpv4: "0.0.0.0/0" },
};

/**
 * The security group of the machine: nothing comes in unless AwsPublicChat adds a rule, and out go https and http, or what is said. Names and time of AWS's own servers pass every
 * group. Costs nothing.
 */
export class AwsMachineGroup extends ComponentResource {
  public readonly groupId: Output<string>;
  /** Without them the machine reaches nothing. */
  public readonly rules: readonly Resource[];

  constructor(name: string, args: AwsMachineGroupArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsMachineGroup", name, {}, options);
    const { groupName, vpcId, tags, to = internet } = args;
    // A group's description can't be changed: it would be another group.
    const group = new SecurityGroup(
      groupName,
      {
        description: "tuneup: the machine",
        vpcId,
        tags: { ...tags, Name: groupName },
      },
      { parent: this },
    );
    this.rules = Object.entries(to).map(
      ([which, peer]) =>
        new SecurityGroupEgressRule(
          `${name}-${which}`,
          { securityGroupId: group.id, ...peer, tags: { ...tags } },
          { parent: this },
        ),
    );
    this.groupId = group.id;
    this.registerOutputs({ groupId: this.groupId });
  }
}
