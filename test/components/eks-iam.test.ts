import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { violations } from "../../policies/pack.ts";
import { statementsOf } from "../../policies/policy-document.ts";
import { mapAt, textsAt } from "../../policies/rule.ts";
import { clusterName, logGroupName } from "../../recipe/eks/names.ts";
import { ofAws } from "./aws-cloud.ts";
import { actionsOf } from "./aws-permissions.ts";
import { declareEks, emptyAccount } from "./eks-cloud.ts";
import { eksExperiment } from "./eks-shipped.ts";

const read = (name: string) => readFileSync(new URL(`../../docs/${name}.json`, import.meta.url), "utf8");
const policy = read("aws-iam-eks");
const base = read("aws-iam");
const actionsIn = (text: string) => statementsOf(text).flatMap((statement) => textsAt(statement, "Action"));
const of = (service: string, ...names: readonly string[]) => names.map((name) => `${service}:${name}`);
const addonActions = ["CreateAddon", "DescribeAddon", "DescribeAddonVersions", "UpdateAddon", "DeleteAddon"];
const association = ["Create", "Describe", "Update", "Delete"].map((verb) => `${verb}PodIdentityAssociation`);

/** As `actionsOf`, of the resources and calls that the target eks alone has. Never watched on AWS. */
const eksActionsOf: Readonly<Record<string, readonly string[]>> = {
  "aws:eks/cluster:Cluster": [
    ...of("eks", "CreateCluster", "DescribeCluster", "UpdateClusterConfig", "UpdateClusterVersion", "DescribeUpdate"),
    ...of("eks", "DeleteCluster", "TagResource", "UntagResource"),
    // It takes a grant of its key, and makes its network cards by a role that an account has from its first one on.
    ...of("kms", "DescribeKey", "CreateGrant"),
    ...of("iam", "PassRole", "CreateServiceLinkedRole"),
  ],
  "aws:eks/nodeGroup:NodeGroup": [
    ...of("eks", "CreateNodegroup", "DescribeNodegroup", "UpdateNodegroupConfig", "UpdateNodegroupVersion"),
    ...of("eks", "DescribeUpdate", "DeleteNodegroup", "TagResource", "UntagResource"),
    // EKS asks whether who makes it may start machines by its template.
    ...of("ec2", "RunInstances", "CreateTags", "DescribeLaunchTemplateVersions"),
    ...of("iam", "PassRole", "CreateServiceLinkedRole"),
  ],
  "aws:eks/addon:Addon": [
    ...of("eks", ...addonActions, ...association, "ListPodIdentityAssociations", "DescribeUpdate"),
    ...of("eks", "TagResource", "UntagResource"),
    "iam:PassRole",
  ],
  "aws:ec2/launchTemplate:LaunchTemplate": of(
    "ec2",
    ...["CreateLaunchTemplate", "CreateLaunchTemplateVersion", "DescribeLaunchTemplates", "ModifyLaunchTemplate"],
    ...["DescribeLaunchTemplateVersions", "DeleteLaunchTemplate"],
  ),
  "aws:kms/key:Key": of(
    "kms",
    ...["CreateKey", "DescribeKey", "EnableKeyRotation", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags"],
    ...["TagResource", "UntagResource", "UpdateKeyDescription", "ScheduleKeyDeletion"],
  ),
  "aws:cloudwatch/logGroup:LogGroup": of(
    "logs",
    ...["CreateLogGroup", "DescribeLogGroups", "PutRetentionPolicy", "DeleteLogGroup"],
    ...["ListTagsForResource", "TagResource", "UntagResource"],
  ),
  // Other policies than the machine's of the target aws.
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": of("iam", "AttachRolePolicy", "DetachRolePolicy"),
  // What the program and hosts/eks ask.
  invokes: [
    ...of("eks", "ListClusters", "DescribeCluster", "ListNodegroups", "DescribeNodegroup"),
    "ec2:DescribeAvailabilityZones",
  ],
};

const subnets = { "us-east-1a": ["subnet-a"], "us-east-1b": ["subnet-b"] };
const inVpc = { endpoint: "private", vpc: "vpc-0aaaaaaaaaaaaaaaa", allowedCidrs: ["10.20.0.0/16"] };

it("allows with the other policy what a cluster takes, and names nothing else", async () => {
  const all = [
    ...ofAws(await declareEks(eksExperiment())),
    ...ofAws(await declareEks(eksExperiment({ eks: inVpc }), { there: { ...emptyAccount, subnets } })),
  ];
  const types = [...new Set(all.map(({ type }) => type))];
  const lacking = types.filter((type) => actionsOf[type] === undefined && eksActionsOf[type] === undefined);
  expect(lacking).toEqual([]);
  expect(Object.keys(eksActionsOf).filter((type) => type !== "invokes" && !types.includes(type))).toEqual([]);
  const own = [...new Set(Object.values(eksActionsOf).flat())];
  expect([...new Set(actionsIn(policy))].toSorted()).toEqual(own.toSorted());
  // What the two targets share is in the other one.
  const shared = types.flatMap((type) => actionsOf[type] ?? []);
  const allowed = [...actionsIn(base), ...actionsIn(policy)];
  expect(shared.filter((action) => !allowed.includes(action))).toEqual([]);
});

it("keeps the pack's own rules, and fits into one managed policy", () => {
  const found = (text: string) =>
    violations([{ type: "aws:iam/policy:Policy", name: "up", urn: "up", inputs: { policy: text } }]);
  expect(found(policy)).toEqual([]);
  expect(found(policy.replace('"eks:ListClusters"', '"eks:DeleteCluster"'))).toHaveLength(1);
  expect(policy.replace(/\s/g, "").length).toBeLessThanOrEqual(6144);
});

it("changes only what has the tag of tuneup, or its path and name", () => {
  const tag = /^aws:(ResourceTag|RequestTag)\/tuneup:project$/;
  for (const statement of statementsOf(policy)) {
    const sid = String(statement["Sid"]);
    const tagged = Object.keys(mapAt(mapAt(statement, "Condition"), "StringEquals")).some((key) => tag.test(key));
    const named = textsAt(statement, "Resource").every((arn) => /[:/]tuneup[-/]|:log-group::log-stream:/.test(arn));
    const looks = textsAt(statement, "Action").every((action) => /:(Describe|Get|List)/.test(action));
    const other = ["TagTheTemplate", "TheFirstClusterOfAnAccount"];
    expect(tagged || named || looks || other.includes(sid), sid).toBe(true);
  }
});

it("fits what is declared: names, log, policies", async () => {
  const arns = statementsOf(policy).flatMap((statement) => textsAt(statement, "Resource"));
  expect(arns).toContain("arn:aws:eks:*:*:cluster/tuneup-*");
  expect(arns).toContain("arn:aws:logs:*:*:log-group:/aws/eks/tuneup-*");
  expect(clusterName("exp")).toMatch(/^tuneup-/);
  expect(logGroupName(clusterName("exp"))).toMatch(/^\/aws\/eks\/tuneup-/);
  const all = await declareEks(eksExperiment());
  const attached = all
    .filter(({ type }) => type.endsWith(":RolePolicyAttachment"))
    .map(({ inputs }) => inputs["policyArn"]);
  const named = statementsOf(policy).flatMap((one) =>
    textsAt(mapAt(mapAt(one, "Condition"), "ArnEquals"), "iam:PolicyARN"),
  );
  expect(attached.toSorted()).toEqual(named.toSorted());
});
