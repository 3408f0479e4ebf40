import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { projectFolder } from "../../cli/project.ts";
import { type FakeAws, fakeAws } from "../hosts/fake-aws.ts";

/** The commands themselves, in a process of their own, against a stand-in of the account. */
let aws: FakeAws;

beforeEach(async () => {
  aws = await fakeAws();
});
afterEach(() => aws.remove());

const tuneup = (...words: string[]) =>
  execa(process.execPath, [`${projectFolder}/cli/main.ts`, ...words], {
    env: { TUNEUP_LANGUAGE: "en", PULUMI_HOME: `${aws.folder}/pulumi`, PULUMI_BACKEND_URL: "" },
    reject: false,
  });

it("status says that a machine ended and why, and that is no failure", async () => {
  aws.machines = [{ id: "i-0a", state: "terminated", stack: "aws-demo", reason: "Client.InstanceInitiatedShutdown" }];
  aws.consoles.set("i-0a", "tuneup: this machine ends: nothing trained and nobody chatted for 30 minutes.\n");
  const { stdout, exitCode } = await tuneup("status", "aws-demo");
  expect(stdout).toMatch(
    /^aws-demo {2}on aws-demo in us-east-1\n {2}The machine of aws-demo .* ended: nothing trained/,
  );
  expect(exitCode).toBe(0);
  aws.machines = [{ id: "i-0a", state: "pending", stack: "aws-demo" }];
  const starting = await tuneup("status", "aws-demo", "--json");
  expect(JSON.parse(starting.stdout)).toMatchObject([{ run: null, fault: { code: "machine-starting" } }]);
});

it("audit ends with 2 where something is nobody's, and with 0 where nothing is", async () => {
  for (const action of ["DescribeVolumes", "DescribeNatGateways", "DescribeVpcEndpoints"]) aws.answers.set(action, "");
  const tags = { "tuneup:project": "tuneup", "tuneup:stack": "gone" };
  aws.resources = [{ arn: "arn:aws:ec2:us-east-1:123456789012:elastic-ip/eipalloc-0a", tags }];
  const some = await tuneup("audit", "--json");
  expect(JSON.parse(some.stdout)).toMatchObject({ orphans: [{ id: "eipalloc-0a", usdMonth: 3.65 }] });
  expect(some.exitCode).toBe(2);
  aws.resources = [];
  const none = await tuneup("audit");
  expect(none.stdout).toBe("Nothing of ours in us-east-1 that no stack owns.");
  expect(none.exitCode).toBe(0);
});
