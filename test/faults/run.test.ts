import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isLocked } from "../../agent/lock.ts";
import { isAlive } from "../../agent/processes.ts";
import { pidIn } from "../../agent/runs/signals.ts";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import { kill, linesOf, until } from "../agent/runs/harness.ts";
import { processesOf } from "./processes.ts";
import { changesIn, expectComplete, expectSound } from "./soundness.ts";
import { type Cli, freezeTrainer, openStage, pendingIn, reportsOf, type Stage, statusOf } from "./stage.ts";

/** One training that all of this happens to, one after the other. It is frozen meanwhile, so that it can't be over before. */
const name = "tiny";
let stage: Stage;
let up: Cli;

beforeAll(async () => {
  stage = await openStage();
  await stage.write(name, 150);
});
afterAll(() => stage.remove());

async function attempts(): Promise<string[]> {
  const events = linesOf<{ kind: string; message: string }>((await stage.run(name)).events);
  return events.filter(({ kind }) => kind === "attempt").map(({ message }) => message);
}

/** What `tuneup status` says of the run. */
async function told(): Promise<RunStatus | null> {
  const { said } = await stage.tuneup("status", name, "--json");
  return (JSON.parse(said) as { run: RunStatus | null }[])[0]?.run ?? null;
}

const waits = ["creating RunCompletion", "updating RunCompletion"];

test("Ctrl-C ends the command with 130 and leaves the run, and the next up attaches to it", async () => {
  up = stage.start("up", name);
  const trainer = await freezeTrainer(stage, up, name, 1);
  await stage.began(up, name, ...waits);
  up.interrupt();
  const { code, said } = await up.ended;
  expect(code).toBe(130);
  expect(said).toContain("goes on");
  expect(isAlive(trainer)).toBe(true);
  const paths = await stage.run(name);
  expect(isLocked(paths.lock)).toBe(true);

  up = stage.start("up", name);
  await stage.began(up, name, ...waits);
  expect(await attempts()).toEqual(["attempt 1, from the start"]);
  expect(isAlive(trainer)).toBe(true);
});

test("SIGTERM to its pid does the same, and leaves no operation pending", async () => {
  const trainer = (await pidIn((await stage.run(name)).trainerPid)) ?? NaN;
  up.terminate();
  const { code, said } = await up.ended;
  expect(code, said).toBe(130);
  expect(said).toContain("goes on");
  expect(isAlive(trainer)).toBe(true);
  expect(pendingIn((await stage.pulumi("stack", "export", "--stack", name)).said)).toEqual([]);

  up = stage.start("up", name);
  await stage.began(up, name, ...waits);
  expect(up.said()).not.toMatch(/Clearing/);
  expect(await attempts()).toEqual(["attempt 1, from the start"]);
});

test("a torn status.json of a run that goes on hides nothing", async () => {
  const paths = await stage.run(name);
  for (const torn of ["", '{"schemaVersion": 1, "run": "ti']) {
    await writeFile(paths.status, torn);
    expect(await told()).toMatchObject({ state: "training", attempt: 1 });
  }
});

test("a killed trainer is started again by its supervisor, from its checkpoint", async () => {
  const paths = await stage.run(name);
  const trainer = await pidIn(paths.trainerPid);
  await kill(trainer);
  await freezeTrainer(stage, up, name, 2);
  expect((await attempts()).at(-1)).toMatch(/^attempt 2, from the checkpoint at step \d+0$/);
});

test("a killed supervisor is replaced by the up that waits, and only when its trainer has ended", async () => {
  const paths = await stage.run(name);
  const orphan = (await pidIn(paths.trainerPid)) ?? NaN;
  const supervisor = (await pidIn(paths.supervisorPid)) ?? NaN;
  await kill(supervisor);
  await until(async () => isLocked(paths.lock) && (await pidIn(paths.supervisorPid)) !== supervisor);
  expect(await attempts()).toHaveLength(2);
  process.kill(orphan, "SIGCONT");
  const trainer = await freezeTrainer(stage, up, name, 3);
  expect(trainer).not.toBe(orphan);
  expect(isAlive(orphan)).toBe(false);
});

test("destroy in the middle of training ends every process and keeps the data, and the next up goes on", async () => {
  up.interrupt();
  expect((await up.ended).code).toBe(130);
  const paths = await stage.run(name);
  const trainer = (await pidIn(paths.trainerPid)) ?? NaN;
  expect(isAlive(trainer)).toBe(true);
  const destroyed = stage.pulumi("destroy", "--yes", "--stack", name);
  await until(async () => (await statusOf(paths))?.detail?.startsWith("stopping") === true);
  process.kill(trainer, "SIGCONT");
  const { code, said } = await destroyed;
  expect(code, said).toBe(0);
  expect(await processesOf(stage.home)).toEqual([]);
  const stopped = await told();
  expect(stopped?.state).toBe("stopped");
  expect(existsSync(`${paths.output}/checkpoint-${stopped?.step ?? 0}`)).toBe(true);

  await expectSound(stage, name);
  expect((await attempts()).slice(3)).toEqual([`attempt 4, from the checkpoint at step ${stopped?.step ?? 0}`]);
});

test("a torn status.json of a complete run does not train it again", async () => {
  const paths = await stage.run(name);
  await writeFile(paths.status, "");
  await expectSound(stage, name);
  expect(await attempts()).toHaveLength(4);
  expect(await told()).toMatchObject({ state: "complete", step: 150 });
});

test("refresh sees a deleted adapter, and up makes just that again, from the last checkpoint", async () => {
  const paths = await stage.run(name);
  const adapter = join(paths.output, "adapter_model.safetensors");
  const before = await readFile(adapter);
  await rm(adapter);
  const refreshed = await stage.pulumi("refresh", "--yes", "--stack", name);
  expect(refreshed.code, refreshed.said).toBe(0);
  const { said: state } = await stage.pulumi("stack", "export", "--stack", name);
  expect(state).toMatch(/"state": "damaged: .*adapter_model\.safetensors/);

  const steps = reportsOf(paths).filter(({ kind }) => kind === "step").length;
  const said = await expectSound(stage, name);
  expect(changesIn(said)).toEqual(["Training job", "Training"]);
  expect((await attempts()).slice(4)).toEqual(["attempt 5, from the checkpoint at step 150"]);
  expect(reportsOf(paths).filter(({ kind }) => kind === "step")).toHaveLength(steps);
  expect(before.equals(await readFile(adapter))).toBe(true);
  await expectComplete(stage, name);
});
