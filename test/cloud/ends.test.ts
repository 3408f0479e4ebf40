import { expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { expectComplete } from "../faults/soundness.ts";
import { aws, type CloudStage, left, openCloudStage } from "./stage.ts";

/** A machine that ends itself when what the run left is safe here, and what is left of it in the account. */
const name = "brief";
let stage: CloudStage;

needsRoot(
  async () => {
    stage = await openCloudStage();
    await stage.write(name, 10, { aws: { ...aws, egress: "none" }, teardown: "after-training" });
  },
  () => stage.remove(),
);

test("preview asks AWS what is there, and makes nothing", async () => {
  const preview = await stage.tuneup("preview", name);
  expect(preview.code, preview.said).toBe(0);
  const made = stage.cloud.door.calls.filter((call) => !/:(Describe|Get|List)/.test(call));
  expect(made).toEqual([]);
});

test("after its training, with the artifact here, the machine powers itself off", async () => {
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  await expectComplete(stage, name);
  // Each look of its timers is one; something of the agent may still be ending.
  await until(async () => {
    await stage.cloud.later(0);
    return (await stage.cloud.alive()).length === 0;
  });
  expect((await stage.tuneup("status", name)).said).toMatch(/ended.*is complete and what it left is fetched/);
});

test("up makes no machine for a finished run with nothing to serve", async () => {
  const before = stage.cloud.door.calls.length;
  const up = await stage.tuneup("up", name);
  expect(up.code, up.said).toBe(0);
  expect(stage.cloud.door.calls.slice(before)).not.toContain("ec2:RunInstances");
  expect(await stage.cloud.alive()).toEqual([]);
});

test("audit finds nothing that no stack owns, and after down the volume with its price", async () => {
  const audit = await stage.tuneup("audit");
  expect(audit.code, audit.said).toBe(0);
  const down = await stage.tuneup("down", name, "--yes");
  expect(down.code, down.said).toBe(0);
  const { volumes, ...others } = await left(stage.cloud);
  expect(Object.values(others).flat()).toEqual([]);
  const after = await stage.tuneup("audit");
  expect(after.code).toBe(2);
  expect(after.said).toMatch(new RegExp(`${volumes[0]?.VolumeId}.*1\\.60`));
});
