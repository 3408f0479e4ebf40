import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { audit, auditText } from "../../cli/audit.ts";
import { awsChecks } from "../../cli/doctor/aws.ts";
import { sayIn } from "../../cli/language/say.ts";
import { type FakeAws, fakeAws } from "../hosts/fake-aws.ts";
import { faultOf } from "../hosts/aws-stage.ts";

let aws: FakeAws;

beforeEach(async () => {
  aws = await fakeAws();
  for (const name of ["PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"]) vi.stubEnv(name, undefined);
  vi.stubEnv("PULUMI_HOME", join(aws.folder, "pulumi"));
  for (const action of ["DescribeNatGateways", "DescribeVpcEndpoints"]) aws.answers.set(action, "");
  const volume = (id: string, state: string) =>
    `<item><volumeId>${id}</volumeId><size>100</size><volumeType>gp3</volumeType><status>${state}</status></item>`;
  aws.answers.set(
    "DescribeVolumes",
    `<volumeSet>${volume("vol-0a", "in-use")}${volume("vol-0b", "available")}${volume("vol-0c", "deleting")}</volumeSet>`,
  );
  aws.machines = [
    { id: "i-0a", state: "running", stack: "demo" },
    { id: "i-0b", state: "terminated", stack: "demo" },
    { id: "i-0c", state: "running", stack: "lost" },
  ];
  const tagged = (name: string, stack: string) => ({
    arn: `arn:aws:ec2:us-east-1:123456789012:${name}`,
    tags: { "tuneup:project": "tuneup", "tuneup:stack": stack },
  });
  aws.resources = [
    ...["instance/i-0a", "instance/i-0b", "volume/vol-0a", "vpc/vpc-0a"].map((name) => tagged(name, "demo")),
    ...["instance/i-0c", "volume/vol-0b", "volume/vol-0c", "natgateway/nat-0a"].map((name) => tagged(name, "lost")),
  ];
});
afterEach(() => aws.remove());

async function keep(...ids: string[]): Promise<void> {
  const folder = join(aws.folder, "home/state/.pulumi/stacks/tuneup");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "demo.json"), JSON.stringify({ resources: ids.map((id) => ({ id })) }));
}

describe("audit", () => {
  it("lists what no stack owns, with its price, and not what is gone already", async () => {
    await keep("i-0a", "vol-0a", "vpc-0a");
    const told = await audit(["us-east-1"], process.env);
    expect(told.orphans).toMatchObject([
      { region: "us-east-1", kind: "ec2 instance", id: "i-0c", stack: "lost" },
      { kind: "ec2 volume", id: "vol-0b", usdMonth: 8 },
    ]);
    expect(auditText(told)).toMatch(/^us-east-1 {2}ec2 instance {2}i-0c {4}lost {2}734\.\d\d USD a month\n/);
    expect(auditText(told)).toMatch(/\n2 that no stack owns, 742\.\d\d USD a month if they are left\.\n/);
    await keep("i-0a", "vol-0a", "vpc-0a", "i-0c", "vol-0b");
    const clean = await audit([], process.env);
    expect(clean).toMatchObject({ regions: ["us-east-1"], orphans: [], usdMonth: 0, owned: "states" });
    expect(auditText(clean)).toBe("Nothing of ours in us-east-1 that no stack owns.\n");
  });

  it("goes by the experiments' names where the states are elsewhere", async () => {
    vi.stubEnv("PULUMI_BACKEND_URL", "s3://elsewhere");
    const tags = { "tuneup:project": "tuneup", "tuneup:stack": "local" };
    aws.resources = [{ arn: "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-0a", tags }, aws.resources[4]!];
    const told = await audit(["us-east-1"], process.env);
    expect(told.owned).toBe("names");
    expect(told.orphans.map(({ id }) => id)).toEqual(["i-0c"]);
  });

  it("says which right is missing", async () => {
    aws.refusals.set("GetResources", [{ status: 400, name: "AccessDeniedException", message: "no" }]);
    const told = await faultOf(audit(["us-east-1"], process.env));
    expect(told).toMatchObject({
      code: "aws-forbidden",
      message: "Your credentials may not tag:GetResources in us-east-1.",
    });
  });
});

describe("doctor of an experiment for aws", () => {
  const spec = { kind: "aws", region: "us-east-1", stack: "demo", dataDirectory: "/data" } as const;

  it("says what is on PATH, that AWS answers, and whether a machine runs", async () => {
    aws.online.add("i-0a");
    const checks = await awsChecks(spec, process.env, sayIn("en"));
    expect(checks).toMatchObject([
      { name: "aws", state: "ok", detail: join(aws.folder, "bin/aws") },
      { name: "session-manager-plugin", state: "ok" },
      { name: "aws", state: "ok", detail: expect.stringMatching(/^us-east-1: answered in/) as string },
      { name: "host", state: "ok", detail: "the machine of demo runs" },
    ]);
    aws.machines = [];
    expect((await awsChecks(spec, process.env, sayIn("en"))).at(-1)).toMatchObject({ name: "host", state: "note" });
  });

  it("says what is missing and what to do", async () => {
    await rm(join(aws.folder, "bin/session-manager-plugin"));
    vi.stubEnv("PATH", `${aws.folder}/bin`);
    aws.refusals.set("DescribeInstances", [{ status: 400, name: "ExpiredToken", message: "old" }]);
    const checks = await awsChecks(spec, process.env, sayIn("en"));
    expect(checks.filter(({ state }) => state === "missing")).toMatchObject([
      { name: "session-manager-plugin", next: expect.stringMatching(/Install it/) as string },
      { name: "aws", detail: "Your credentials for AWS have expired (us-east-1)." },
    ]);
  });
});
