import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAlive } from "../../agent/processes.ts";
import { until } from "../agent/runs/harness.ts";
import { holdUp } from "./hold.ts";
import { processes, send } from "./processes.ts";
import { changesIn, expectComplete, expectNoStepLost, expectSentence, expectSound } from "./soundness.ts";
import { needsRoot } from "./ssh/needs-root.ts";
import { openSshStage, type SshStage } from "./ssh/stage.ts";
import { type Cli, freezeTrainer, openStage, reportsOf, type Stage } from "./stage.ts";

/** What happens to Pulumi on this machine does not matter to the run on the other one. The trainer is frozen meanwhile. */
const name = "tiny";
const maxSteps = 60;
const endpoint = { serve: { base: false, maxTokens: 8 } };
let stage: SshStage;
/** Another checkout of the same repository on another machine: a home and a state of its own. */
let other: Stage;
let frozen: Promise<number>;
let trainer: number;
let up: Cli;

needsRoot(
  async () => {
    stage = await openSshStage();
    other = await openStage(stage.options);
    frozen = freezeTrainer(stage, undefined, name, 1);
    await Promise.all([stage, other].map((each) => each.write(name, maxSteps, endpoint)));
  },
  async () => {
    await other.remove();
    await stage.remove();
  },
);

/** The processes of the `up` that make the stage's resources. */
const providers = async (): Promise<number[]> =>
  (await processes()).filter(({ words }) => words.includes(`${stage.folder}/provider/main.mjs`)).map(({ pid }) => pid);

const waits = ["creating RunCompletion", "updating RunCompletion"];

/** The local suite does this at every resource; over ssh one before the run, the run, and one after it. */
test.each(["Dataset", "SftJob", "ChatEndpoint"])(
  "killed while %s is made, the next up clears what is left",
  async (step) => {
    const before = await stage.pending(name);
    const held = await holdUp(step, stage, name, maxSteps);
    up = stage.start("up", name);
    if (before.length > 0) await until(() => up.said().includes(`was cut off at: ${before.join(", ")}.`) || up.over());
    await until(async () => (await stage.pending(name)).length === 0 || up.over());
    await stage.killAt(up, name, `creating ${step}`);
    expect(await stage.pending(name), up.said()).toContain(`creating ${step}`);
    held?.release();
  },
);

test("Ctrl-C once ends the command and leaves the run", async () => {
  up = stage.start("up", name);
  trainer = await frozen;
  await stage.began(up, name, ...waits);
  up.interrupt();
  const { code, said } = await up.ended;
  expect(code).toBe(130);
  expect(said).toContain("goes on");
  expect(isAlive(trainer)).toBe(true);
});

test("Ctrl-C twice leaves a record of the wait, which the next up clears", async () => {
  up = stage.start("up", name);
  await stage.began(up, name, ...waits);
  const record = await stage.pending(name);
  expect(waits).toContain(record.join());
  // A provider that does not answer: the first Ctrl-C alone would end the wait in good order.
  const stopped = await providers();
  expect(stopped).not.toEqual([]);
  for (const pid of stopped) send(pid, "SIGSTOP");
  up.interrupt();
  await until(() => up.said().includes("Interrupting") || up.over());
  expect(up.over(), up.said()).toBe(false);
  up.interrupt();
  expect((await up.ended).code).not.toBe(0);
  for (const pid of stopped) send(pid, "SIGCONT");
  expect(await stage.pending(name)).toEqual(record);
  expect(isAlive(trainer)).toBe(true);

  up = stage.start("up", name);
  // The old record and the new one are alike: it is gone before the other comes.
  await until(async () => (await stage.pending(name)).length === 0 || up.over());
  await stage.began(up, name, ...waits);
  up.interrupt();
  expect((await up.ended).code, up.said()).toBe(130);
  expect(up.said()).toContain(`was cut off at: ${record.join()}.`);
  expect(await stage.pending(name)).toEqual([]);
});

test("with Pulumi's state deleted, adopt finds the run on the host and takes it over", async () => {
  expectSentence(await stage.tuneup("adopt", "nothing"), /nothing/);
  await rm(join(stage.home, "state"), { recursive: true });
  up = stage.start("adopt", name);
  await stage.began(up, name, ...waits);
  expect(up.said()).toContain((await stage.run(name)).directory.split("/").at(-1));
  expect(isAlive(trainer)).toBe(true);
  expect(reportsOf(await stage.run(name)).filter(({ kind }) => kind === "start")).toHaveLength(1);
});

test("what was adopted comes to its end, with no step lost and nothing trained twice", async () => {
  expect(up.over(), up.said()).toBe(false);
  process.kill(trainer, "SIGCONT");
  const { code, said } = await up.ended;
  expect(code, said).toBe(0);
  await expectSound(stage, name);
  await expectNoStepLost(stage, name);
  expect(reportsOf(await stage.run(name)).filter(({ kind }) => kind === "start")).toHaveLength(1);
});

test("two ups at once from two checkouts have one run, and both come to its end", async () => {
  const twin = "twin";
  await Promise.all([stage, other].map((each) => each.write(twin, 10)));
  const both = [stage, other].map((each) => each.start("up", twin));
  for (const { code, said } of await Promise.all(both.map(({ ended }) => ended))) expect(code, said).toBe(0);
  expect(reportsOf(await stage.run(twin)).filter(({ kind }) => kind === "start")).toHaveLength(1);
  await expectComplete(other, twin);
  await expectSound(stage, twin);
  const again = await other.tuneup("up", twin);
  expect(changesIn(again.said), again.said).toEqual([]);
});
