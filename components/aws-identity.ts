import { ComponentResource, type ComponentResourceOptions, type Output, type Resource } from "../provider/pulumi.ts";
import { InstanceProfile } from "@pulumi/aws/iam/instanceProfile.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { RolePolicyAttachment } from "@pulumi/aws/iam/rolePolicyAttachment.js";
import { mayPublish, maySize, trustOf } from "../recipe/aws/documents.ts";
import { identityPath, partitionOf } from "../recipe/aws/names.ts";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsIdentity. */
export interface AwsIdentityArgs {
  /** What the names of role and profile begin with. */
  readonly roleName: string;
  readonly region: string;
  /** `tuneup:storage.artifacts` and whose runs are published there. Default: nothing is. */
  readonly publishes?: { readonly artifacts: string; readonly experiment: string } | undefined;
  /** Name of the group that the machine is of, and takes itself out of at its end. Default: it is of none. */
  readonly group?: string | undefined;
  readonly tags: Tags;
}

/** AWS's own policy for what the agent of Systems Manager does, and no more of ours: a machine ends itself by powering off, and one of a group leaves that first. */
const systemsManager = "iam::aws:policy/AmazonSSMManagedInstanceCore";

/** What the machine may do in AWS: be reached through Systems Manager, publish where `storage.artifacts` says, and nothing else. Costs nothing. */
export class AwsIdentity extends ComponentResource {
  /** Name of the instance profile. */
  public readonly profileName: Output<string>;
  /** Without it the machine can't be reached. */
  public readonly ready: Resource;

  constructor(
    name: string,
    { roleName, region, publishes, group, tags }: AwsIdentityArgs,
    options?: ComponentResourceOptions,
  ) {
    super("tuneup:components:AwsIdentity", name, {}, options);
    const own = { parent: this };
    const role = new Role(
      roleName,
      {
        ...{ path: identityPath, description: "tuneup: what a machine may do in AWS" },
        ...{ assumeRolePolicy: trustOf("ec2.amazonaws.com"), tags },
      },
      own,
    );
    this.ready = new RolePolicyAttachment(
      name,
      { role: role.name, policyArn: `arn:${partitionOf(region)}:${systemsManager}` },
      own,
    );
    if (publishes !== undefined) {
      const policy = mayPublish(publishes.artifacts, publishes.experiment, region);
      new RolePolicy(`${roleName}-publish`, { role: role.name, policy }, own);
    }
    if (group !== undefined) {
      new RolePolicy(`${roleName}-leave`, { role: role.name, policy: maySize(group, region) }, own);
    }
    const profile = new InstanceProfile(roleName, { path: identityPath, role: role.name, tags }, own);
    this.profileName = profile.name;
    this.registerOutputs({ profileName: this.profileName });
  }
}
