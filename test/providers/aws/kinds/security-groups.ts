import type { IpPermission } from "@aws-sdk/client-ec2";
import type * as ec2Types from "@pulumi/aws/ec2/index.js";
import type * as vpcTypes from "@pulumi/aws/vpc/index.js";
import type { Unwrap } from "@pulumi/pulumi";
import { type Clients, found } from "../clients.ts";
import { given, kind, tagBag, tagged, tagList } from "../kind.ts";

async function groupOf({ ec2 }: Clients, id: string) {
  return (await found(ec2.describeSecurityGroups({ GroupIds: [id] })))?.SecurityGroups?.[0];
}

/** Takes from a group the rules that EC2 gives to new ones: all protocols. Rules of resources name theirs. */
async function clear(aws: Clients, id: string): Promise<void> {
  const live = await groupOf(aws, id);
  const [into = [], out = []] = [live?.IpPermissions, live?.IpPermissionsEgress].map((rules = []) =>
    rules.filter(({ IpProtocol }) => IpProtocol === "-1"),
  );
  if (into.length > 0) await aws.ec2.revokeSecurityGroupIngress({ GroupId: id, IpPermissions: into });
  if (out.length > 0) await aws.ec2.revokeSecurityGroupEgress({ GroupId: id, IpPermissions: out });
}

/** Rules that are written in a group itself: ours are resources of their own. */
function refuseRules(inputs: { readonly ingress?: unknown; readonly egress?: unknown }): void {
  for (const rules of [inputs.ingress, inputs.egress])
    if (Array.isArray(rules) && rules.length > 0) throw new Error("the stand-in takes no rules in a group itself");
}

export const defaultSecurityGroup = kind<ec2Types.DefaultSecurityGroupArgs>({
  title: "EC2 Default Security Group",
  replaces: ["vpcId"],
  async create(aws, inputs) {
    refuseRules(inputs);
    const { SecurityGroups } = await aws.ec2.describeSecurityGroups({
      Filters: [
        { Name: "vpc-id", Values: [given(inputs.vpcId, "vpcId")] },
        { Name: "group-name", Values: ["default"] },
      ],
    });
    return given(SecurityGroups?.[0]?.GroupId, "default group");
  },
  async settle(aws, id, { tags }) {
    await clear(aws, id);
    if (tags !== undefined) await aws.ec2.createTags({ Resources: [id], Tags: tagList(tags) });
  },
  async read(aws, id) {
    const live = await groupOf(aws, id);
    return live === undefined ? undefined : { vpcId: given(live.VpcId, "VpcId"), tags: tagBag(live.Tags) };
  },
  delete() {
    // It belongs to its VPC: the provider only forgets it.
    return Promise.resolve();
  },
});

export const securityGroup = kind<ec2Types.SecurityGroupArgs>({
  title: "EC2 Security Group",
  replaces: ["name", "namePrefix", "description", "vpcId"],
  named: true,
  async create(aws, inputs) {
    refuseRules(inputs);
    const { GroupId } = await aws.ec2.createSecurityGroup({
      GroupName: inputs.name,
      Description: inputs.description ?? "Managed by Pulumi",
      VpcId: inputs.vpcId,
      ...tagged("security-group", inputs.tags),
    });
    return given(GroupId, "GroupId");
  },
  settle: clear,
  async read(aws, id) {
    const live = await groupOf(aws, id);
    if (live === undefined) return undefined;
    return {
      name: given(live.GroupName, "GroupName"),
      vpcId: given(live.VpcId, "VpcId"),
      description: given(live.Description, "Description"),
      tags: tagBag(live.Tags),
    };
  },
  async delete({ ec2 }, id) {
    await found(ec2.deleteSecurityGroup({ GroupId: id }));
  },
});

type Rule = Unwrap<vpcTypes.SecurityGroupEgressRuleArgs>;

function permissionOf(rule: Rule): IpPermission {
  const description = rule.description === undefined ? {} : { Description: rule.description };
  return {
    IpProtocol: rule.ipProtocol,
    ...(rule.fromPort === undefined ? {} : { FromPort: rule.fromPort }),
    ...(rule.toPort === undefined ? {} : { ToPort: rule.toPort }),
    ...(rule.cidrIpv4 === undefined ? {} : { IpRanges: [{ CidrIp: rule.cidrIpv4, ...description }] }),
    ...(rule.cidrIpv6 === undefined ? {} : { Ipv6Ranges: [{ CidrIpv6: rule.cidrIpv6, ...description }] }),
    ...(rule.prefixListId === undefined
      ? {}
      : { PrefixListIds: [{ PrefixListId: rule.prefixListId, ...description }] }),
    ...(rule.referencedSecurityGroupId === undefined
      ? {}
      : { UserIdGroupPairs: [{ GroupId: rule.referencedSecurityGroupId, ...description }] }),
  };
}

function ruleKind(direction: "Ingress" | "Egress") {
  return kind<vpcTypes.SecurityGroupEgressRuleArgs>({
    title: `VPC Security Group ${direction} Rule`,
    replaces: ["securityGroupId"],
    async create({ ec2 }, inputs) {
      const request = {
        GroupId: inputs.securityGroupId,
        IpPermissions: [permissionOf(inputs)],
        ...tagged("security-group-rule", inputs.tags),
      };
      const { SecurityGroupRules } = await (direction === "Ingress"
        ? ec2.authorizeSecurityGroupIngress(request)
        : ec2.authorizeSecurityGroupEgress(request));
      return given(SecurityGroupRules?.[0]?.SecurityGroupRuleId, "SecurityGroupRuleId");
    },
    async read({ ec2 }, id) {
      const answer = await found(ec2.describeSecurityGroupRules({ SecurityGroupRuleIds: [id] }));
      const live = answer?.SecurityGroupRules?.[0];
      return live === undefined ? undefined : { securityGroupId: given(live.GroupId, "GroupId") };
    },
    async delete({ ec2 }, id, { securityGroupId }) {
      const request = { GroupId: securityGroupId, SecurityGroupRuleIds: [id] };
      await found(
        direction === "Ingress" ? ec2.revokeSecurityGroupIngress(request) : ec2.revokeSecurityGroupEgress(request),
      );
    },
  });
}

export const ingressRule = ruleKind("Ingress");
export const egressRule = ruleKind("Egress");
