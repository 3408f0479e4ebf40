import { execa } from "execa";
import { copyFile, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { shownQuestions } from "../../cli/questions.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { type RunStatus, runStatus } from "../../recipe/lifecycle.ts";
import { MemoryPeak } from "./memory.ts";

const shareOfSteps = 0.2;
const pollMs = 500;

/** What the run said of its time when a fifth of its steps was done. */
interface Forecast {
  readonly at: number;
  readonly secondsLeft: number;
}

/**
 * Runs a new experiment of the committed `local` kind with warm caches and prints: time to the first answers, peak of
 * memory over all processes, and how far the time left after 20 % of the steps was off. Whatever happens, nothing of it stays.
 */
export async function benchUp(folder: string, stack: string, environment: Record<string, string>): Promise<void> {
  const cli = join(folder, "cli/main.ts");
  const file = join(folder, `stacks/Pulumi.${stack}.yaml`);
  await copyFile(join(folder, "stacks/Pulumi.local.yaml"), file);
  try {
    await measureUp(cli, folder, stack, environment);
  } finally {
    // What `up` failed with is told; that there was nothing to take down then is no news.
    await execa(process.execPath, [cli, "down", stack, "--purge", "--yes"], {
      ...{ cwd: folder, env: environment, reject: false, stdout: "ignore", stderr: "inherit" },
    });
    await rm(file, { force: true });
  }
}

async function measureUp(
  cli: string,
  folder: string,
  stack: string,
  environment: Record<string, string>,
): Promise<void> {
  const home = environment["TUNEUP_HOME"] ?? "";
  const memory = new MemoryPeak(home);
  try {
    const start = performance.now();
    const up = execa(process.execPath, [cli, "up", stack], {
      cwd: folder,
      env: environment,
      stdout: "pipe",
      stderr: "inherit",
    });
    const following = follow(home, stack, up);
    const answering = firstAnswer(up.iterable({ binary: false, preserveNewlines: true }));
    await up;
    const seconds = (performance.now() - start) / 1000;
    const answeredAt = await answering;
    const { forecast, trainedAt } = await following;
    const first = ((answeredAt ?? NaN) - start) / 1000;
    console.log(
      `up, warm, new experiment   ${first.toFixed(0)} s to the first answer  (${(first / 150).toFixed(2)} x the 150 s that it may take), ${seconds.toFixed(0)} s to the last of six`,
    );
    console.log(`peak memory                ${(memory.stop() / 1e9).toFixed(2)} GB over all processes`);
    if (forecast !== undefined && trainedAt !== undefined) {
      const truth = (trainedAt - forecast.at) / 1000;
      console.log(
        `time left at 20 % of steps ${forecast.secondsLeft.toFixed(0)} s said, ${truth.toFixed(0)} s true  (${(forecast.secondsLeft / truth).toFixed(2)} x)`,
      );
    }
  } finally {
    memory.stop();
  }
}

/** When the first answer's text began, in performance.now()'s terms; undefined if there was none. Reads the lines to their end. */
async function firstAnswer(lines: AsyncIterable<string>): Promise<number | undefined> {
  let asked = false;
  let answeredAt: number | undefined;
  for await (const line of lines) {
    if (asked && /\S +\S/.test(line)) answeredAt ??= performance.now();
    asked ||= line.trim() === shownQuestions[0];
  }
  return answeredAt;
}

/** Reads the run's record itself: a command each half second would be part of what is measured. */
async function follow(
  home: string,
  stack: string,
  up: PromiseLike<unknown>,
): Promise<{ forecast: Forecast | undefined; trainedAt: number | undefined }> {
  const ended = up.then(
    () => true,
    () => true,
  );
  let forecast: Forecast | undefined;
  for (;;) {
    const over = await Promise.race([ended, delay(pollMs, false)]);
    const run = await statusOf(home, stack);
    const now = performance.now();
    if (run !== undefined && run.totalSteps > 0) {
      const { step, totalSteps, secondsLeft } = run;
      if (step >= shareOfSteps * totalSteps && secondsLeft !== undefined) forecast ??= { at: now, secondsLeft };
      if (step >= totalSteps) return { forecast, trainedAt: now };
    }
    if (over) return { forecast, trainedAt: undefined };
  }
}

async function statusOf(home: string, stack: string): Promise<RunStatus | undefined> {
  const layout = layoutOf(home);
  const names = await readdir(layout.runs).catch(() => []);
  const name = names.find((candidate) => candidate.startsWith(`${stack}-`));
  if (name === undefined) return undefined;
  const text = await readFile(layout.run(name).status, "utf8").catch(() => "");
  return text === "" ? undefined : runStatus.parse(JSON.parse(text));
}
