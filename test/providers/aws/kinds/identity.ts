import type * as iamTypes from "@pulumi/aws/iam/index.js";
import { found } from "../clients.ts";
import { given, kind, tagBag, tagList } from "../kind.ts";

/** A policy, which may be written as text or as the document itself. */
function textOf(policy: unknown): string {
  return typeof policy === "string" ? policy : JSON.stringify(policy);
}

export const role = kind<iamTypes.RoleArgs>({
  title: "IAM Role",
  replaces: ["name", "namePrefix", "path"],
  named: true,
  async create({ iam }, inputs) {
    const name = given(inputs.name, "name");
    await iam.createRole({
      RoleName: name,
      AssumeRolePolicyDocument: textOf(inputs.assumeRolePolicy),
      Tags: tagList(inputs.tags),
      ...(inputs.path === undefined ? {} : { Path: inputs.path }),
      ...(inputs.description === undefined ? {} : { Description: inputs.description }),
    });
    return name;
  },
  async settle({ iam }, id, { managedPolicyArns }) {
    for (const arn of managedPolicyArns ?? []) await iam.attachRolePolicy({ RoleName: id, PolicyArn: arn });
  },
  async read({ iam }, id) {
    const live = (await found(iam.getRole({ RoleName: id })))?.Role;
    if (live === undefined) return undefined;
    return { name: id, tags: tagBag(live.Tags), arn: live.Arn };
  },
  async update({ iam }, id, { inputs }) {
    await iam.updateAssumeRolePolicy({ RoleName: id, PolicyDocument: textOf(inputs.assumeRolePolicy) });
  },
  async delete({ iam }, id, { managedPolicyArns }) {
    for (const arn of managedPolicyArns ?? []) await found(iam.detachRolePolicy({ RoleName: id, PolicyArn: arn }));
    await found(iam.deleteRole({ RoleName: id }));
  },
});

/** A role as an input: its name, or the whole resource. */
function nameOf(given: unknown): string {
  const { name, id } = (typeof given === "object" && given !== null ? given : {}) as { name?: string; id?: string };
  return typeof given === "string" ? given : (name ?? id ?? "");
}

export const rolePolicy = kind<iamTypes.RolePolicyArgs>({
  title: "IAM Role Policy",
  replaces: ["name", "namePrefix", "role"],
  named: true,
  async create({ iam }, inputs) {
    const [roleName, name] = [nameOf(inputs.role), given(inputs.name, "name")];
    await iam.putRolePolicy({ RoleName: roleName, PolicyName: name, PolicyDocument: textOf(inputs.policy) });
    return `${roleName}:${name}`;
  },
  async read({ iam }, id) {
    const [RoleName = "", PolicyName = ""] = id.split(":");
    return (await found(iam.getRolePolicy({ RoleName, PolicyName }))) === undefined ? undefined : { name: PolicyName };
  },
  async update({ iam }, id, { inputs }) {
    const [RoleName = "", PolicyName = ""] = id.split(":");
    await iam.putRolePolicy({ RoleName, PolicyName, PolicyDocument: textOf(inputs.policy) });
  },
  async delete({ iam }, id) {
    const [RoleName = "", PolicyName = ""] = id.split(":");
    await found(iam.deleteRolePolicy({ RoleName, PolicyName }));
  },
});

export const rolePolicyAttachment = kind<iamTypes.RolePolicyAttachmentArgs>({
  title: "IAM Role Policy Attachment",
  replaces: ["role", "policyArn"],
  async create({ iam }, inputs) {
    const name = nameOf(inputs.role);
    await iam.attachRolePolicy({ RoleName: name, PolicyArn: inputs.policyArn });
    return `${name}/${inputs.policyArn}`;
  },
  async read({ iam }, _id, inputs) {
    const answer = await found(iam.listAttachedRolePolicies({ RoleName: nameOf(inputs.role) }));
    const isThere = (answer?.AttachedPolicies ?? []).some(({ PolicyArn }) => PolicyArn === inputs.policyArn);
    return isThere ? { policyArn: inputs.policyArn } : undefined;
  },
  async delete({ iam }, _id, inputs) {
    await found(iam.detachRolePolicy({ RoleName: nameOf(inputs.role), PolicyArn: inputs.policyArn }));
  },
});

export const instanceProfile = kind<iamTypes.InstanceProfileArgs>({
  title: "IAM Instance Profile",
  replaces: ["name", "namePrefix", "path"],
  named: true,
  async create({ iam }, inputs) {
    const name = given(inputs.name, "name");
    await iam.createInstanceProfile({
      InstanceProfileName: name,
      Tags: tagList(inputs.tags),
      ...(inputs.path === undefined ? {} : { Path: inputs.path }),
    });
    return name;
  },
  async settle({ iam }, id, { role }) {
    const { InstanceProfile } = await iam.getInstanceProfile({ InstanceProfileName: id });
    if (role === undefined || (InstanceProfile?.Roles ?? []).length > 0) return;
    await iam.addRoleToInstanceProfile({ InstanceProfileName: id, RoleName: nameOf(role) });
  },
  async read({ iam }, id) {
    const live = (await found(iam.getInstanceProfile({ InstanceProfileName: id })))?.InstanceProfile;
    if (live === undefined) return undefined;
    return { name: id, tags: tagBag(live.Tags), arn: live.Arn };
  },
  async delete({ iam }, id, inputs) {
    if (inputs.role !== undefined)
      await found(iam.removeRoleFromInstanceProfile({ InstanceProfileName: id, RoleName: nameOf(inputs.role) }));
    await found(iam.deleteInstanceProfile({ InstanceProfileName: id }));
  },
});
