import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { violations } from "../../policies/pack.ts";
import { statementsOf } from "../../policies/policy-document.ts";
import { mapAt, textsAt } from "../../policies/rule.ts";
import { balancerName, identityPath, resourceName } from "../../recipe/aws/names.ts";
import { awsConfig } from "../../recipe/aws/config.ts";
import { actionsOf } from "./aws-permissions.ts";
import { declare, emptyCloud, ofAws, only } from "./aws-cloud.ts";
import { publicChat, shipped, shippedExperiment } from "./aws-shipped.ts";

const read = (name: string) => readFileSync(new URL(`../../docs/${name}.json`, import.meta.url), "utf8");
/** What whoever runs `up` may do, and what is added for a public chat. */
const policy = read("aws-iam");
const policyOfChat = read("aws-iam-public-chat");
/** And what is added for spot capacity. */
const policyOfSpot = read("aws-iam-spot");
const policies = [policy, policyOfChat, policyOfSpot];
const actionsIn = (text: string) => statementsOf(text).flatMap((statement) => textsAt(statement, "Action"));
const statements = policies.flatMap(statementsOf);

/** Types of everything that an experiment for aws can declare, with a public chat or without. */
async function types(more: object): Promise<Set<string>> {
  const publicSubnets = { "us-east-1a": ["subnet-c"], "us-east-1b": ["subnet-d"] };
  const there = { ...emptyCloud, vpc: { id: "vpc-0aaaaaaaaaaaaaaaa", subnets: ["subnet-a"], publicSubnets } };
  const found = new Set<string>();
  for (const settings of [{}, { egress: "none" }, { vpc: "default" }]) {
    const aws = { ...settings, ...more };
    for (const name of shipped.filter((one) => one !== "aws-spot")) {
      const all = ofAws(await declare(shippedExperiment(name, { aws }), { there }));
      for (const { type } of all) found.add(type);
    }
  }
  return found;
}

it("names an action only where a resource, or a call of ours, takes it, and lacks none", async () => {
  const uses = ["audit", "host", "invokes", "leftovers", "purge", "tags"];
  const usual = [...(await types({})), ...uses];
  const withChat = new Set([...usual, ...(await types({ publicChat })), "publicChat"]);
  const withSpot = new Set([...usual, "spot"]);
  for (const { type } of ofAws(await declare(shippedExperiment("aws-spot")))) withSpot.add(type);
  expect(Object.keys(actionsOf).toSorted()).toEqual([...new Set([...withChat, ...withSpot])].toSorted());
  const needed = (names: readonly string[]) => [...new Set(names.flatMap((name) => actionsOf[name] ?? []))];
  expect([...new Set(actionsIn(policy))].toSorted()).toEqual(needed(usual).toSorted());
  // Beside the first, and no action in both.
  const added = needed([...withChat]).filter((action) => !needed(usual).includes(action));
  expect(actionsIn(policyOfChat).toSorted()).toEqual(added.toSorted());
  // What a launch template may be used for and tagged with is for templates alone.
  const addedForSpot = needed([...withSpot]).filter((action) => !needed(usual).includes(action));
  const onTemplates = ["ec2:CreateTags", "ec2:RunInstances"];
  expect([...new Set(actionsIn(policyOfSpot))].toSorted()).toEqual([...addedForSpot, ...onTemplates].toSorted());
});

it("keeps the pack's own rules: no wildcard, no action on everything", () => {
  for (const text of policies) {
    const inputs = { policy: text };
    expect(violations([{ type: "aws:iam/policy:Policy", name: "up", urn: "up", inputs }])).toEqual([]);
  }
  // AWS knows no resource for looking at a load balancer, and one for changing it.
  const changed = {
    policy: policyOfChat.replace("elasticloadbalancing:DescribeTags", "elasticloadbalancing:SetSubnets"),
  };
  expect(violations([{ type: "aws:iam/policy:Policy", name: "up", urn: "up", inputs: changed }])).toHaveLength(1);
  const wider = { policy: policy.replace('"ec2:CreateVpc"', '"ec2:*"') };
  expect(violations([{ type: "aws:iam/policy:Policy", name: "up", urn: "up", inputs: wider }])).toHaveLength(1);
});

it("changes, ends and reaches only what has the tag of tuneup, or its path and name", () => {
  const tag = /^(aws|ssm):(ResourceTag|resourceTag|RequestTag)\/tuneup:project$/;
  for (const statement of statements) {
    const sid = String(statement["Sid"]);
    const condition = mapAt(statement, "Condition");
    const tagged = Object.keys(mapAt(condition, "StringEquals")).some((key) => tag.test(key));
    const named = textsAt(statement, "Resource").every((arn) =>
      /[:/]tuneup[-/]|:document\/AWS-|:session\/\$/.test(arn),
    );
    const looks = textsAt(statement, "Action").every((action) => /:(Describe|Get|List)/.test(action));
    // A new machine's disk, image and network card; new tags at the making alone; the default group of a new VPC.
    // And the role that AWS itself gives its load balancers.
    const other = [
      "TheFirstBalancerOfAnAccount",
      "StartFromAnImage",
      "StartWithAnEncryptedDisk",
      "TagWhatIsMade",
      ...["CloseTheDefaultGroup", "TagTemplates", "TheFirstGroupOfAnAccount"],
    ];
    expect(tagged || named || looks || other.includes(sid), sid).toBe(true);
  }
});

it("fits what is declared: names, path, image, user", async () => {
  const all = await declare(shippedExperiment("aws-demo"));
  const arns = statements.flatMap((statement) => textsAt(statement, "Resource"));
  expect(arns).toContain(`arn:aws:iam::*:role${identityPath}*`);
  expect(arns).toContain(`arn:aws:scheduler:*:*:schedule/default/tuneup-*`);
  for (const kind of ["loadbalancer/app", "listener/app", "targetgroup"]) {
    expect(arns).toContain(`arn:aws:elasticloadbalancing:*:*:${kind}/tuneup-*`);
  }
  expect(balancerName("exp")).toBe("tuneup-exp");
  const ofSpot = await declare(shippedExperiment("aws-spot"));
  expect(only(ofSpot, "Group").inputs["name"]).toMatch(/^tuneup-/);
  expect(only(ofSpot, "Bucket").inputs["bucket"]).toMatch(/^tuneup-/);
  expect(arns).toContain("arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/tuneup-*");
  expect(arns).toContain("arn:aws:s3:::tuneup-*");
  expect(only(all, "Schedule").name).toMatch(new RegExp(`^${resourceName("exp")}`));
  expect(awsConfig(undefined).amiParameter).toMatch(/^\/aws\/service\/deeplearning\//);
  expect(arns).toContain("arn:aws:ssm:*::parameter/aws/service/deeplearning/*");
});

it.each(["aws-iam", "aws-iam-public-chat", "aws-iam-spot"])("%s fits into one managed policy of IAM", (name) => {
  expect(read(name).replace(/\s/g, "").length).toBeLessThanOrEqual(6144);
});

it("the policy pack speaks of types that @pulumi/aws has", () => {
  const home = dirname(createRequire(import.meta.url).resolve("@pulumi/aws/package.json"));
  const folder = fileURLToPath(new URL("../../policies/", import.meta.url));
  const sources = ["buckets", "clusters", "identity", "machines", "network", "tags"].map((name) =>
    readFileSync(`${folder}${name}.ts`, "utf8"),
  );
  const tokens = [...new Set(sources.join("\n").match(/aws:[a-z0-9]+\/[A-Za-z0-9]+:[A-Za-z0-9]+/g))];
  expect(tokens.length).toBeGreaterThan(25);
  const lacking = tokens.filter((token) => !existsSync(`${home}/${token.split(":")[1] ?? ""}.js`));
  expect(lacking).toEqual([]);
});
