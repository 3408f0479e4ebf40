import { runtime } from "@pulumi/pulumi";
import { expect, it, vi } from "vitest";
import type { Inputs } from "../../policies/rule.ts";
import { hostSpecOf } from "../../recipe/target-host.ts";
import { shippedExperiment } from "./aws-shipped.ts";

/** A first preview: nothing that AWS would make up is known. */

const unknown = { __pulumiUnknown: true };
const declared = new Map<string, Inputs>();
const answers: Readonly<Record<string, object>> = {
  getParameter: { insecureValue: "ami-0123456789abcdef0" },
  getEbsVolumes: { ids: [] },
  getInstances: { ids: [] },
};

await runtime.setMocks(
  {
    newResource: ({ type, inputs }) => {
      declared.set(type, inputs as Inputs);
      return { id: undefined, state: inputs as object };
    },
    call: ({ token }) => answers[token.split(":").at(-1) ?? ""] as Record<string, unknown>,
  },
  "tuneup",
  "exp",
  true,
);

const { Experiment } = await import("../../components/experiment.ts");
const { targetOf } = await import("../../components/target.ts");

it("knows the host before there is a machine, so that all checks can be made", async () => {
  const config = shippedExperiment("aws-demo");
  const host = hostSpecOf(config, {}, "exp");
  new Experiment("exp", { config, target: await targetOf("exp", host, config) });
  await vi.waitFor(() => expect([...declared.keys()]).toContain("tuneup-host:index:RunCompletion"), {
    interval: 5,
    timeout: 20_000,
  });
  const own = [...declared].filter(([type]) => type.startsWith("tuneup-host:"));
  expect(own).toHaveLength(6);
  for (const [type, inputs] of own) expect(inputs["host"], type).toEqual(host);
  // Only then it is known.
  await vi.waitFor(() => expect(declared.get("aws:ec2/volumeAttachment:VolumeAttachment")).toBeDefined());
  expect(declared.get("aws:ec2/volumeAttachment:VolumeAttachment")).toMatchObject({ instanceId: unknown });
  expect(declared.get("aws:ec2/instance:Instance")).toMatchObject({ userData: unknown, instanceType: "g4dn.xlarge" });
});
