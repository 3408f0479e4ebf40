import { PassThrough } from "node:stream";
import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { expect, it } from "vitest";
import { Display } from "../../cli/display.ts";

const urn = "urn:pulumi:k8s-demo::tuneup::tuneup-host:index:RunCompletion::k8s-demo";

const begun = { resourcePreEvent: { metadata: { urn, op: "create" } } } as unknown as EngineEvent;
const told = (message: string): EngineEvent =>
  ({ diagnosticEvent: { urn, message, severity: "info", ephemeral: true } }) as unknown as EngineEvent;

it("off a terminal says what was told once and lasts, once", async () => {
  const out = new PassThrough();
  const display = new Display(out as unknown as NodeJS.WriteStream, 50);
  display.take(begun);
  display.take(told("the training waits for a node: 1 Insufficient cpu."));
  const line = await new Promise<string>((resolve) => out.once("data", (chunk) => resolve(String(chunk))));
  expect(line).toMatch(/^… Training .*1 Insufficient cpu\.\n$/);
  display.take(told("the training waits for a node: 1 Insufficient cpu."));
  display.take(told("step 1 of 2"));
  const next = await new Promise<string>((resolve) => out.once("data", (chunk) => resolve(String(chunk))));
  expect(next).toContain("step 1 of 2");
  display.close();
});

it("tells what breaks a rule of the policy pack: which resource, which rule, what has to be so", () => {
  const display = new Display(new PassThrough() as unknown as NodeJS.WriteStream);
  const broken = {
    resourceUrn: "urn:pulumi:demo::tuneup::tuneup:components:AwsTarget$aws:ebs/volume:Volume::demo",
    ...{ policyName: "disk-encrypted", policyPackName: "tuneup", message: "encrypted must be true, got false.\n" },
  };
  const event = (enforcementLevel: string): EngineEvent =>
    ({ policyEvent: { ...broken, enforcementLevel } }) as unknown as EngineEvent;
  // A preview can't judge yet.
  display.take(event("warning"));
  expect(display.errors).toEqual([]);
  display.take(event("mandatory"));
  display.take(event("mandatory"));
  expect(display.errors).toEqual([
    "aws:ebs/volume:Volume demo: encrypted must be true, got false. (disk-encrypted, docs/aws.md)",
  ]);
  display.close();
});
