import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { violations } from "../../policies/pack.ts";
import { statementsOf } from "../../policies/policy-document.ts";
import { mapAt, textsAt } from "../../policies/rule.ts";
import { identityPath, resourceName } from "../../recipe/aws/names.ts";
import { awsConfig } from "../../recipe/aws/config.ts";
import { actionsOf } from "./aws-permissions.ts";
import { declare, emptyCloud, ofAws, only } from "./aws-cloud.ts";
import { shipped, shippedExperiment } from "./aws-shipped.ts";

/** docs/aws-iam.json: what whoever runs `up` may do. */
const policy = readFileSync(new URL("../../docs/aws-iam.json", import.meta.url), "utf8");
const statements = statementsOf(policy);
const allowed = statements.flatMap((statement) => textsAt(statement, "Action"));

/** Types of everything that an experiment for aws can declare. */
async function types(): Promise<Set<string>> {
  const there = { ...emptyCloud, vpc: { id: "vpc-0aaaaaaaaaaaaaaaa", subnets: ["subnet-a"] } };
  const found = new Set<string>();
  for (const aws of [{}, { egress: "none" }, { vpc: "default" }]) {
    for (const name of shipped) {
      const all = ofAws(await declare(shippedExperiment(name, { aws }), { there }));
      for (const { type } of all) found.add(type);
    }
  }
  return found;
}

it("names an action only where a resource, or a call of ours, takes it, and lacks none", async () => {
  const uses = ["audit", "host", "invokes", "purge", "tags"];
  expect(Object.keys(actionsOf).toSorted()).toEqual([...(await types()), ...uses].toSorted());
  expect([...new Set(allowed)].toSorted()).toEqual([...new Set(Object.values(actionsOf).flat())].toSorted());
});

it("keeps the pack's own rules: no wildcard, no action on everything", () => {
  const inputs = { policy };
  expect(violations([{ type: "aws:iam/policy:Policy", name: "up", urn: "up", inputs }])).toEqual([]);
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
    const other = ["StartFromAnImage", "StartWithAnEncryptedDisk", "TagWhatIsMade", "CloseTheDefaultGroup"];
    expect(tagged || named || looks || other.includes(sid), sid).toBe(true);
  }
});

it("fits what is declared: names, path, image, user", async () => {
  const all = await declare(shippedExperiment("aws-demo"));
  const arns = statements.flatMap((statement) => textsAt(statement, "Resource"));
  expect(arns).toContain(`arn:aws:iam::*:role${identityPath}*`);
  expect(arns).toContain(`arn:aws:scheduler:*:*:schedule/default/tuneup-*`);
  expect(only(all, "Schedule").name).toMatch(new RegExp(`^${resourceName("exp")}`));
  expect(awsConfig(undefined).amiParameter).toMatch(/^\/aws\/service\/deeplearning\//);
  expect(arns).toContain("arn:aws:ssm:*::parameter/aws/service/deeplearning/*");
});

it("fits into one managed policy of IAM", () => {
  expect(policy.replace(/\s/g, "").length).toBeLessThanOrEqual(6144);
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
