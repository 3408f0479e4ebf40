import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { privatePort } from "../../agent/endpoints/ports.ts";
import { agentPath, childEnvironment, isAlive } from "../../agent/processes.ts";
import { runCurve, runDeclare, runRead } from "../../agent/runs/commands.ts";
import { runPaths } from "../../agent/runs/paths.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import { collect, until } from "../agent/runs/harness.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { tinySpec, type TinyStage, tinyStage } from "./tiny-run.ts";

const steps = 16;
let home: TestHome;
let stage: TinyStage;
const pods: ChildProcess[] = [];

beforeAll(async () => {
  home = await makeTestHome();
  stage = await tinyStage(home.home);
});

afterAll(async () => {
  for (const pod of pods) if (isAlive(pod.pid ?? NaN)) pod.kill("SIGKILL");
  await until(() => !pods.some(({ pid }) => isAlive(pid ?? NaN)));
  await home.remove();
});

const paths = (run: string) => runPaths(layoutOf(home.home), run);
const status = async (run: string) => (await runRead({ dataDirectory: home.home, run }, collect()))?.status;

/** A run of one global batch of 4, by however many processes. */
function declare(run: string, processes: NonNullable<RunSpec["processes"]>) {
  const train = {
    ...{ additional_target: "embed_tokens,lm_head", cutoff_len: 128 },
    per_device_train_batch_size: 4 / (processes.nodes * processes.perNode),
    ...{ max_steps: steps, save_steps: 4, include_num_input_tokens_seen: true },
  };
  const spec: RunSpec = {
    ...tinySpec(stage, { run, dataDirectory: home.home, train }),
    supervisor: "pod",
    processes,
  };
  return runDeclare({ dataDirectory: home.home, spec }, collect());
}

/** A trainer Pod: the agent's own program. */
function startPod(run: string, environment: Readonly<Record<string, string>> = {}) {
  const pod = spawn(process.execPath, [agentPath(), "work", "--data-directory", home.home, "--run", run], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...childEnvironment({ TUNEUP_RUN_BACKOFF_MS: "10" }), ...environment },
  });
  pods.push(pod);
  const said = Promise.all([text(pod.stdout), text(pod.stderr)]).then((parts) => parts.join(""));
  const code = once(pod, "exit").then(async ([exitCode]) => {
    if (exitCode !== 0) console.log(`${await said}\n${readFileSync(paths(run).log, "utf8").slice(-3000)}`);
    return exitCode as number | null;
  });
  return { pod, code };
}

/** Both nodes of a run, as Kubeflow Trainer tells each which it is. */
async function startNodes(run: string) {
  const common = { PET_NNODES: "2", PET_MASTER_ADDR: "127.0.0.1", PET_MASTER_PORT: String(await privatePort()) };
  return ["0", "1"].map((rank) => startPod(run, { ...common, PET_NODE_RANK: rank, GLOO_SOCKET_IFNAME: "lo" }));
}

/** Until the run is at a step. */
const reached = (run: string, step: number) => until(async () => ((await status(run))?.step ?? 0) >= step);

async function losses(run: string): Promise<number[]> {
  const { metrics } = await runCurve({ dataDirectory: home.home, run }, collect());
  expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, index) => index + 1));
  return metrics.map(({ loss = NaN }) => loss);
}

/** Every loss within 2 % of what one process has. */
async function expectSameLosses(run: string): Promise<void> {
  const reference = await losses("one-1");
  for (const [index, loss] of (await losses(run)).entries()) {
    const expected = reference[index] ?? NaN;
    expect(Math.abs(loss - expected) / expected, `step ${index + 1}: ${loss}, not ${expected}`).toBeLessThan(0.02);
  }
}

/** The rank's process in a run. */
function pidOfRank(run: string, rank: number): number | undefined {
  const found = readdirSync("/proc").find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      return words.includes(`${paths(run).directory}\0`) && variables.includes(`RANK=${rank}`);
    } catch {
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}

test("two processes train one run: stopped after the same step and gone on with, they have the losses of one process", async () => {
  await declare("one-1", { nodes: 1, perNode: 1 });
  expect(await startPod("one-1").code).toBe(0);

  const run = "two-1";
  await declare(run, { nodes: 1, perNode: 2 });
  const first = startPod(run);
  await reached(run, 5);
  first.pod.kill("SIGTERM");
  expect(await first.code).toBe(143);
  const stopped = await status(run);
  expect(stopped).toMatchObject({ state: "stopped", nextPod: true });
  const files = readdirSync(`${paths(run).output}/checkpoint-${stopped?.step ?? 0}`);
  expect(files).toEqual(expect.arrayContaining([".tuneup-complete", "rng_state_0.pth", "rng_state_1.pth"]));
  expect(await startPod(run).code).toBe(0);
  expect(await status(run)).toMatchObject({ state: "complete", attempt: 2, step: steps });
  await expectSameLosses(run);
});

test.skipIf(process.platform !== "linux")(
  "a process that dies ends the whole attempt, and the next one goes on",
  async () => {
    const run = "two-2";
    await declare(run, { nodes: 1, perNode: 2 });
    const { code } = startPod(run);
    await reached(run, 5);
    process.kill(pidOfRank(run, 1) ?? NaN, "SIGKILL");
    expect(await code).toBe(0);
    expect(await status(run)).toMatchObject({ state: "complete", attempt: 2, step: steps });
    await expectSameLosses(run);
  },
);

test("two nodes train one run: when one is taken away both end after the same step, and go on together", async () => {
  const run = "nodes-1";
  await declare(run, { nodes: 2, perNode: 1 });
  const [zero, one] = await startNodes(run);
  await reached(run, 5);
  one?.pod.kill("SIGTERM");
  // The first node was not asked: the cluster starts both again.
  expect(await Promise.all([zero?.code, one?.code])).toEqual([1, 143]);
  const stopped = await status(run);
  expect(stopped).toMatchObject({ state: "failed", nextPod: true, fault: { code: "trainer-stopped" } });
  expect(existsSync(`${paths(run).output}/checkpoint-${stopped?.step ?? 0}/.tuneup-complete`)).toBe(true);
  const again = await startNodes(run);
  expect(await Promise.all(again.map(({ code }) => code))).toEqual([0, 0]);
  expect(await status(run)).toMatchObject({ state: "complete", attempt: 2, step: steps });
  await expectSameLosses(run);
});
