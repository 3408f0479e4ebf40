import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { expectComplete } from "../faults/soundness.ts";
import { type Cli, reportsOf } from "../faults/stage.ts";
import { openSpotStage, publishedJson } from "./spot-stage.ts";
import type { CloudStage } from "./stage.ts";

/** A machine of spot capacity that AWS takes back in the middle of training, after its notice, while `up` waits for the run. */
const name = "spot-taken";
let stage: CloudStage;

needsRoot(
  async () => {
    // Steps enough that the training is not over before its machine is, and no checkpoint but that of the notice.
    stage = await openSpotStage(name, 400, { save_steps: 10_000 });
  },
  () => stage.remove(),
);

/** Waits until the run of this machine has reported such a thing, and returns its first. Throws where `up` ends before. */
async function reported(up: Cli, kind: string) {
  const first = async () => {
    const paths = await stage.run(name).catch(() => undefined);
    return paths === undefined ? undefined : reportsOf(paths).find((report) => report.kind === kind);
  };
  await until(async () => up.over() || (await first()) !== undefined);
  const report = await first();
  if (report === undefined) throw new Error(`up ended too early: ${up.said()}`);
  return report;
}

test("saves at the notice and publishes, and the next machine goes on from there while up waits", async () => {
  const up = stage.start("up", name);
  await reported(up, "step");
  const trainer = (await reported(up, "start")).pid ?? NaN;
  process.kill(trainer, "SIGSTOP");
  const [machine] = await stage.cloud.alive();
  const id = machine?.InstanceId ?? "";
  stage.cloud.machines.get(id)?.notice();
  const { events } = await stage.run(name);
  await until(async () => (await readFile(events, "utf8")).includes("AWS takes this machine back"));
  process.kill(trainer, "SIGCONT");
  const { step: saved = NaN } = await reported(up, "checkpoint");
  process.kill(trainer, "SIGSTOP");
  const owner = () => publishedJson<{ checkpoints: readonly { step: number }[] }>(stage, "/owner.json");
  await until(async () => up.over() || (await owner())?.checkpoints.length === 1);
  expect((await owner())?.checkpoints.map(({ step }) => step)).toEqual([saved]);
  await stage.cloud.terminate(id);
  await stage.cloud.reconcile();
  const { code, said } = await up.ended;
  expect(code, said).toBe(0);
  await expectComplete(stage, name);
  const steps = reportsOf(await stage.run(name)).flatMap(({ kind, step = 0 }) => (kind === "step" ? [step] : []));
  expect(Math.min(...steps)).toBe(saved + 1);
  expect(Math.max(...steps)).toBe(400);
  const [next, ...others] = await stage.cloud.alive();
  expect(others).toEqual([]);
  expect(next?.InstanceId).not.toBe(id);
});
