import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { experiments, hostSpecFor } from "../../cli/project.ts";
import { plannableExperiment, policiesFor, requireProvisioned } from "../../cli/runnable.ts";

it("commands know the cluster from the stack file alone", async () => {
  expect(await experiments()).toContain("eks-qwen2.5-7b");
  expect(await hostSpecFor("eks-qwen2.5-7b")).toMatchObject({
    ...{ kind: "kubernetes", namespace: "tuneup", dataDirectory: "/data" },
    eks: { region: "us-east-1", nodes: { group: "gpu", stack: "eks-qwen2.5-7b" } },
  });
});

it("`up` and `preview` ask the policy pack, and refuse nothing of the shipped experiment", async () => {
  const pack = fileURLToPath(new URL("../../policies/pulumi-analyzer-tuneup", import.meta.url));
  expect(await policiesFor("eks-qwen2.5-7b")).toEqual({ policyPacks: [pack] });
  await requireProvisioned("eks-qwen2.5-7b");
  expect((await plannableExperiment("eks-qwen2.5-7b")).target).toBe("eks");
});
