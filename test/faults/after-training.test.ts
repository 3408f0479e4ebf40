import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { processesOf } from "./processes.ts";
import { changesIn, expectComplete } from "./soundness.ts";
import { openStage, type Stage, reportsOf } from "./stage.ts";

/** `teardown: after-training` on this machine: when the artifact is there, nothing of ours runs any more. */
const name = "tiny";
let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
  await stage.write(name, 10, { teardown: "after-training", serve: {} });
});
afterAll(() => stage.remove());

test("trains, serves nothing, ends by itself, and does not train again", async () => {
  const { code, said } = await stage.tuneup("up", name);
  expect(code, said).toBe(0);
  await expectComplete(stage, name);
  await until(async () => !(await processesOf(stage.home)).some(({ words }) => words.includes("agent.mjs")));
  const outputs = JSON.parse((await stage.pulumi("stack", "output", "--json", "--stack", name)).said) as object;
  expect(outputs).not.toHaveProperty("url");
  const paths = await stage.run(name);
  expect(outputs).toHaveProperty("artifact", join(paths.directory, "output"));

  const before = reportsOf(paths).length;
  const again = await stage.tuneup("up", name);
  expect(again.code, again.said).toBe(0);
  expect(changesIn(again.said)).toEqual([]);
  expect(reportsOf(paths)).toHaveLength(before);
});
