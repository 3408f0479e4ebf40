import { readFile } from "node:fs/promises";
import { beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { projectFolder } from "../../../cli/project.ts";
import type { Fault } from "../../../recipe/fault.ts";
import { budgetOf, planOf, planText } from "../../../scripts/live-aws/plan.ts";

let template: string;

beforeAll(async () => {
  template = await readFile(`${projectFolder}/stacks/Pulumi.aws-demo.yaml`, "utf8");
});

const plan = (usd: number, text = template) => planOf(text, "aws-live-1", usd, projectFolder);

function faultIn(work: () => unknown): Fault {
  try {
    work();
  } catch (thrown) {
    return thrown as Fault;
  }
  throw new Error("no fault");
}

it.each([undefined, "", " ", "0", "-5", "five", "Infinity"])("a budget of %j is none", (stated) => {
  const told = faultIn(() => budgetOf(stated));
  expect(told).toMatchObject({ code: "live-budget", property: "--budget-usd" });
  expect(told.next).toContain("--budget-usd 5");
});

it("a budget ends the machine's lease before more than that is spent", () => {
  const { text, leaseHours, usdPerHour } = plan(2);
  expect(parse(text)).toMatchObject({ config: { "tuneup:aws": { lease: { usd: 2 } } } });
  expect(leaseHours * usdPerHour).toBeLessThanOrEqual(2);
  expect(leaseHours).toBeGreaterThan(1);
});

it("what the least budget is, is enough, and a cent less is refused", () => {
  const told = faultIn(() => plan(0.01));
  expect(told.code).toBe("live-budget");
  const least = Number(/at least (\d+\.\d\d)/.exec(told.message)?.[1]);
  expect(() => plan(least)).not.toThrow();
  expect(faultIn(() => plan(least - 0.01)).message).toContain(`got ${least - 0.01}`);
});

it("what Pulumi keeps in the user's file for its own stack is not in the copy", () => {
  const { text } = plan(5, `encryptionsalt: v1:abc\n${template}`);
  expect(text).not.toContain("encryptionsalt");
});

it("a file that is no experiment for aws is refused", () => {
  const told = faultIn(() => plan(5, template.replace("tuneup:target: aws", "tuneup:target: local")));
  expect(told.code).toBe("live-experiment");
});

it("says account, region, price, and what it will do", () => {
  const text = planText(plan(5), "123456789012", undefined);
  expect(text).toMatch(/^Account 123456789012, region us-east-1\.\ng4dn\.xlarge .*: 0\.\d{3} USD an hour/);
  expect(text).toMatch(/aws-live-1: up, a question, up again, status, down --purge, audit\./);
  expect(planText(plan(5), "1", "http://127.0.0.1:5000")).toMatch(/AWS_ENDPOINT_URL\): this is not AWS/);
});
