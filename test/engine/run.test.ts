import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isLocked } from "../../agent/lock.ts";
import { childEnvironment } from "../../agent/processes.ts";
import { runCurve, runDeclare, runRead, runStop, runWait } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import { pidIn } from "../../agent/runs/signals.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { RunEvent, RunManifest } from "../../recipe/lifecycle.ts";
import general from "../../recipe/embedded/general.json" with { type: "json" };
import { collect, kill, killRun, linesOf, until } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { tinySpec, type TinyStage, tinyStage } from "./tiny-run.ts";

const steps = 37;
let test_: TestHome;
let stage: TinyStage;

beforeAll(async () => {
  test_ = await makeTestHome();
  stage = await tinyStage(test_.home);
  // A killed trainer shall be replaced late enough for the test to tear its checkpoint.
  process.env["TUNEUP_RUN_BACKOFF_MS"] = "4000";
  const { datasets } = stage;
  await writeFile(join(datasets, "lacking.json"), JSON.stringify(general.map(({ output }) => ({ output }))));
  const info = { general: { file_name: "general.json" }, lacking: { file_name: "lacking.json" } };
  await writeFile(join(datasets, "dataset_info.json"), JSON.stringify(info));
});

afterAll(async () => {
  delete process.env["TUNEUP_RUN_BACKOFF_MS"];
  for (const run of ["tiny-1", "tiny-2", "tiny-3"]) await killRun(paths(run));
  await test_.remove();
});

const paths = (run: string) => runPaths(layoutOf(test_.home), run);
const events = (run: string) => linesOf<RunEvent>(paths(run).events);
const attempts = (run: string) =>
  events(run)
    .filter(({ kind }) => kind === "attempt")
    .map(({ message }) => message);
const wait = (run: string) => runWait({ dataDirectory: test_.home, run }, collect());

function declare(run: string, dataset = "general") {
  const train = {
    ...{ additional_target: "embed_tokens,lm_head", cutoff_len: 128, per_device_train_batch_size: 4 },
    ...{ max_steps: steps, save_steps: 5, save_total_limit: 2, plot_loss: true, include_num_input_tokens_seen: true },
    dataset,
  };
  const spec = tinySpec(stage, { run, dataDirectory: test_.home, train });
  return runDeclare({ dataDirectory: test_.home, spec }, collect());
}

/** Until an attempt has saved a checkpoint at that step or later. */
function saved(run: string, step: number, attempt: number): Promise<void> {
  return until(() => {
    const all = events(run);
    const started = all.findIndex(({ message }) => message.startsWith(`attempt ${attempt},`));
    const at = (message: string) => Number(/^checkpoint at step (\d+)/.exec(message)?.[1] ?? 0);
    return started >= 0 && all.slice(started).some(({ message }) => at(message) >= step);
  });
}

async function curve(run: string) {
  return (await runCurve({ dataDirectory: test_.home, run }, collect())).metrics;
}

/** The step at which the run's last attempt began. */
function resumedAt(run: string): number {
  return Number(/checkpoint at step (\d+)$/.exec(attempts(run).at(-1) ?? "")?.[1] ?? 0);
}

let undisturbed: RunManifest;

test("a run trains to its last step and leaves adapter, curve and manifest", async () => {
  await declare("tiny-1");
  const { status, manifest } = await wait("tiny-1");
  undisturbed = manifest;
  expect(status).toMatchObject({ state: "complete", attempt: 1, step: steps, totalSteps: steps });
  const files = manifest.files.map(({ path }) => path);
  for (const file of ["adapter_config.json", "adapter_model.safetensors", "training_loss.png", "trainer_log.jsonl"]) {
    expect(files).toContain(file);
  }
  expect(files.some((path) => path.startsWith("checkpoint-"))).toBe(false);
  const metrics = await curve("tiny-1");
  expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, index) => index + 1));
  expect(metrics.at(-1)?.loss).toBeLessThan(0.8 * (metrics[0]?.loss ?? 0));
  expect((await declare("tiny-1")).status).toMatchObject({
    state: "complete",
    detail: expect.stringContaining("not trained again") as string,
  });
  expect(attempts("tiny-1")).toHaveLength(1);
});

test("killed, torn, stopped and orphaned on its way, a run ends with what the undisturbed one has", async () => {
  const run = "tiny-2";
  const { output, torn, trainerLock } = paths(run);
  // What a try before this one left.
  await killRun(paths(run));
  rmSync(paths(run).directory, { recursive: true, force: true });

  await declare(run);
  await saved(run, 10, 1);
  await kill(await pidIn(paths(run).trainerPid));
  await until(() => !isLocked(trainerLock));
  const newest = Math.max(...readdirSync(output).map((name) => Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? 0)));
  rmSync(`${output}/checkpoint-${newest}/optimizer.pt`, { force: true });

  await saved(run, newest, 2);
  expect(resumedAt(run)).toBe(newest - 5);
  expect(existsSync(`${torn}/checkpoint-${newest}`)).toBe(true);
  const { status: stopped } = await runStop({ dataDirectory: test_.home, run }, collect());
  expect(stopped?.state).toBe("stopped");
  expect(existsSync(`${output}/checkpoint-${stopped?.step ?? 0}/.tuneup-complete`)).toBe(true);
  expect(existsSync(`${output}/adapter_model.safetensors`)).toBe(false);

  await declare(run);
  await saved(run, 25, 3);
  expect(resumedAt(run)).toBe(stopped?.step);
  await kill(await pidIn(paths(run).supervisorPid));

  const { status, manifest } = await wait(run);
  expect(status).toMatchObject({ state: "complete", attempt: 4, step: steps, totalSteps: steps });
  expect(resumedAt(run)).toBeGreaterThanOrEqual(25);
  const metrics = await curve(run);
  const reference = await curve("tiny-1");
  expect(metrics.map(({ step }) => step)).toEqual(reference.map(({ step }) => step));
  for (const [index, { loss = NaN }] of metrics.entries()) expect(loss).toBeCloseTo(reference[index]?.loss ?? 0, 2);
  expect(manifest.totalTokens).toBe(undisturbed.totalTokens);
  const logged = linesOf<{ current_steps: number; loss?: number }>(`${output}/trainer_log.jsonl`);
  expect(logged.filter(({ loss }) => loss !== undefined).map((line) => line.current_steps)).toEqual(
    metrics.map(({ step }) => step),
  );
});

test("a second trainer of the same run ends by itself", async () => {
  const directory = paths("tiny-1").directory;
  const trainer = (attempt: number) =>
    execa(stage.python, [`${directory}/trainer/train.py`, "--run-directory", directory, "--attempt", String(attempt)], {
      env: childEnvironment({ TUNEUP_PARENT_PID: String(process.pid) }),
      extendEnv: false,
      reject: false,
      detached: true,
    });
  const holder = trainer(8);
  await until(() => isLocked(paths("tiny-1").trainerLock));
  const second = await trainer(9);
  expect(second.exitCode).toBe(76);
  holder.kill("SIGTERM");
  // It was still loading: there was nothing to save.
  expect((await holder).exitCode).toBe(75);
});

test("rows that lack a column are told in a sentence, without a second attempt", async () => {
  await declare("tiny-3", "lacking");
  await expect(wait("tiny-3")).rejects.toMatchObject({ code: "training-failed", blame: "user" });
  const fault = (await runRead({ dataDirectory: test_.home, run: "tiny-3" }, collect()))?.status.fault;
  expect(fault?.message).toMatch(/^Training failed while loading: .*instruction.*\(\w+\)\.$/);
  expect(attempts("tiny-3")).toHaveLength(1);
  expect(readFileSync(paths("tiny-3").log, "utf8")).toContain("Traceback");
  await rm(paths("tiny-3").directory, { recursive: true });
});
