import type { CustomResourceOptions } from "../provider/pulumi.ts";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicyAttachment } from "@pulumi/aws/iam/rolePolicyAttachment.js";
import { identityPath, partitionOf } from "../recipe/aws/names.ts";
import type { Tags } from "../recipe/aws/tags.ts";
import { clusterTrust } from "../recipe/eks/documents.ts";

/** Arguments of eksRole. */
export interface EksRoleArgs {
  readonly roleName: string;
  /** What its bearer is: `what a node of a cluster`. */
  readonly of: string;
  /** Who bears it: `ec2.amazonaws.com`. */
  readonly service: Parameters<typeof clusterTrust>[0];
  readonly region: string;
  readonly tags: Tags;
  /** AWS's own policies, with their paths, by the names of their attachments. */
  readonly policies: Readonly<Record<string, string>>;
}

/** A role of a cluster's part, with AWS's own policies for it, which have to be attached before it is used. Costs nothing. */
export function eksRole({ roleName, of, service, region, tags, policies }: EksRoleArgs, own: CustomResourceOptions) {
  const role = new Role(
    roleName,
    {
      ...{ path: identityPath, description: `tuneup: ${of} may do in AWS` },
      ...{ assumeRolePolicy: clusterTrust(service), tags },
    },
    own,
  );
  const attached = Object.entries(policies).map(([name, policy]) => {
    const policyArn = `arn:${partitionOf(region)}:iam::aws:policy/${policy}`;
    return new RolePolicyAttachment(name, { role: role.name, policyArn }, own);
  });
  return { role, attached };
}
