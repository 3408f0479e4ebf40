import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { holdUp } from "./hold.ts";
import { expectSentence, expectSound } from "./soundness.ts";
import { freezeTrainer, openStage, reportsOf, type Stage } from "./stage.ts";

/** SIGKILL for tuneup, engine, language host and provider at once, at each step of `up`; every next `up` gets a step further. */
const name = "tiny";
const maxSteps = 60;
let stage: Stage;
/** The trainer, frozen as soon as it steps: it outlasts the kills and the two that want to wait for it. */
let frozen: Promise<number>;

beforeAll(async () => {
  stage = await openStage();
  frozen = freezeTrainer(stage, undefined, name, 1);
  await stage.write(name, maxSteps, { serve: { base: false, maxTokens: 8 } });
});
afterAll(() => stage.remove());

/** Dataset first: it is begun beside Environment and done sooner. */
const steps = ["Dataset", "Environment", "ModelWeights", "SftJob", "ChatEndpoint"];

test.each(steps)("killed while %s is made, up leaves a record of it that the next one clears", async (step) => {
  const before = await stage.pending(name);
  const held = await holdUp(step, stage, name, maxSteps);
  const up = stage.start("up", name);
  if (before.length > 0) await until(() => up.said().includes(`was cut off at: ${before.join(", ")}.`));
  await until(async () => (await stage.pending(name)).length === 0);
  await stage.killAt(up, name, `creating ${step}`);
  expect(await stage.pending(name), up.said()).toContain(`creating ${step}`);
  held?.release();
  if (before.length > 0) expect(up.said()).toMatch(/^Clearing the lock of process \d+, which is dead\.$/m);
});

test("plain pulumi names the command that clears what a killed one left", async () => {
  const { code, said } = await stage.pulumi("up", "--yes", "--stack", name);
  expect(code).not.toBe(0);
  expect(said).toContain("pulumi cancel");

  // The lock is not all: what was begun is still on record, and the next one tells that. It goes on, so it gets little to do.
  const before = await stage.pending(name);
  expect(before).not.toEqual([]);
  const cancelled = await stage.pulumi("cancel", "--yes", "--stack", name);
  expect(cancelled.code, cancelled.said).toBe(0);
  const again = await stage.pulumi("up", "--yes", "--stack", name, "--target", "**:Environment::**");
  expect(again.said).toContain(`with ${before.length} pending operations from previous deployment`);
  expect(again.said).toMatch(/interrupted while creating/);
  expect(again.said).toContain("`pulumi refresh`");
  expect(await stage.pending(name)).toEqual(before);
});

test("Pulumi's memory of the selected stack, torn by a kill, is cleared too", async () => {
  const workspaces = join(stage.environment["PULUMI_HOME"] ?? "", "workspaces");
  const [selection = ""] = await readdir(workspaces);
  await writeFile(join(workspaces, selection), "");
  expect((await stage.pulumi("stack", "select", name)).said).toContain("could not parse file");
  const { code, said } = await stage.tuneup("preview", name);
  expect(code, said).toBe(0);
  expect(said).toMatch(/^Clearing what a killed pulumi left half-written: .*-workspace\.json\.$/m);
});

test("of two ups at once one goes on, and the other says who is at work", async () => {
  const ups = [stage.start("up", name), stage.start("up", name)] as const;
  const loser = await Promise.race(ups.map((up, index) => up.ended.then((end) => ({ ...end, index }))));
  expectSentence(loser, /(Another pulumi|Another tuneup).* at work on/, /Wait until it has ended/);
  const up = ups[1 - loser.index] ?? ups[0];
  const trainer = await frozen;
  await stage.killAt(up, name, "creating RunCompletion");
  expect(await stage.pending(name)).toEqual(["creating RunCompletion"]);
  process.kill(trainer, "SIGCONT");
});

test("after all that, up converges on the run that went on meanwhile", async () => {
  const said = await expectSound(stage, name);
  expect(said).toContain("Clearing what the last update was cut off at: creating RunCompletion.");
  const starts = reportsOf(await stage.run(name)).filter(({ kind }) => kind === "start");
  expect(starts).toHaveLength(1);
});
