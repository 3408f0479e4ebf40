import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Pace } from "../../../agent/runs/pace.ts";
import type { TrainerReport } from "../../../agent/runs/reports.ts";
import { StallWatch } from "../../../agent/runs/stall.ts";
import { collect, makeHost } from "./harness.ts";

const minute = 60_000;
let folder: string;
let now: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tuneup-stall-"));
  for (const name of ["output", "cache"]) mkdirSync(join(folder, name));
  now = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const report = (kind: string, more: object = {}) => ({ at: "", attempt: 1, kind, ...more }) as TrainerReport;

const filesIn = () => ({ output: join(folder, "output"), cache: join(folder, "cache"), log: join(folder, "log") });

/** A trainer whose steps take that long, at its third step. */
function watchAt(step: number): StallWatch {
  const pace = new Pace();
  const watch = new StallWatch(10 * minute, pace, filesIn(), () => now);
  pace.begin({ step: 0, tokens: 0, at: 0 });
  watch.heard(report("begin", { step: 0, total: 9, tokens: 0 }));
  for (let index = 1; index <= 3; index++) {
    now += step;
    pace.add({ step: index, tokens: 1, at: now });
    watch.heard(report("step", { step: index, total: 9, tokens: 1 }));
  }
  return watch;
}

/** Minutes after which the watch has had enough; it is asked each half minute. */
async function minutesUntil(
  watch: StallWatch,
  meanwhile: (minutes: number) => void = () => undefined,
): Promise<number> {
  for (let passed = 0; passed < 300; passed += 0.5) {
    meanwhile(passed);
    if ((await watch.tooLong()) !== undefined) return passed;
    now += minute / 2;
  }
  return Infinity;
}

test("a trainer is given ten of its steps, ten minutes at least, and a tenth of that to be seen writing", async () => {
  expect(await minutesUntil(watchAt(1000))).toBe(11);
  expect(await minutesUntil(watchAt(2 * minute))).toBe(22);
});

test("what it says and what it writes is progress", async () => {
  const watch = watchAt(1000);
  expect(
    await minutesUntil(watch, (passed) => {
      if (passed === 9) watch.heard(report("alive"));
    }),
  ).toBe(20);
  // A checkpoint that takes half an hour to write.
  const grows = (passed: number): void => {
    if (passed < 30) appendFileSync(join(filesIn().output, "optimizer.pt"), "x");
  };
  expect(await minutesUntil(watchAt(1000), grows)).toBeGreaterThanOrEqual(30);
});

test("it has an hour before its first word, while it loads, before the first step and while the result is written", async () => {
  const watch = new StallWatch(10 * minute, new Pace(), filesIn(), () => now);
  expect(await minutesUntil(watch)).toBe(66);
  watch.heard(report("phase", { phase: "loading" }));
  expect(await minutesUntil(watch)).toBe(66);
  watch.heard(report("begin", { step: 0, total: 9, tokens: 0 }));
  expect(await minutesUntil(watch)).toBe(66);
  const saving = watchAt(1000);
  saving.heard(report("phase", { phase: "saving" }));
  expect(await minutesUntil(saving)).toBe(66);
});

test.each(["output/model.safetensors", "cache/tokenized.arrow", "log"])(
  "while it loads or writes the result, %s that grows is progress",
  async (file) => {
    for (const phase of ["loading", "saving"]) {
      const watch = watchAt(1000);
      watch.heard(report("phase", { phase: "saving" }));
      watch.heard(report("phase", { phase }));
      const grows = (passed: number): void => {
        if (passed < 90) appendFileSync(join(folder, file), "x");
      };
      const minutes = await minutesUntil(watch, grows);
      expect(minutes).toBeGreaterThanOrEqual(90);
      expect(minutes).toBeLessThan(110);
    }
  },
);

test("a trainer that hangs while it loads is stopped, and the next one completes the run", async () => {
  const host = makeHost({ TUNEUP_RUN_STALL_MS: "1500", TUNEUP_RUN_STOP_GRACE_MS: "200" });
  try {
    host.plan({ steps: 4, holdLoading: true, deaf: true, holdAttempts: [1] });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    const { status } = await host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect());
    expect(status.state).toBe("complete");
    const retry = host.events().find(({ kind }) => kind === "retry")?.message;
    expect(retry).toMatch(/^The trainer made no progress for \d+ s while importing, and was stopped\. Tries again/);
  } finally {
    await host.clean();
  }
});

test("a trainer that hangs is stopped, its reason recorded, and the next one completes the run", async () => {
  const host = makeHost({ TUNEUP_RUN_STALL_MS: "1500", TUNEUP_RUN_STOP_GRACE_MS: "200" });
  try {
    host.plan({ steps: 8, hold: 5, deaf: true, holdAttempts: [1] });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    const { status } = await host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect());
    expect(status).toMatchObject({ state: "complete", attempt: 2 });
    const retry = host.events().find(({ kind }) => kind === "retry")?.message;
    expect(retry).toMatch(/^The trainer made no progress for \d+ s at step 6, and was stopped\. Tries again/);
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 4");
  } finally {
    await host.clean();
  }
});
