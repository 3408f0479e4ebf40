import type { Command } from "commander";
import { Fault } from "../../recipe/fault.ts";
import type { Host } from "../../hosts/host.ts";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import { say, type TextKey } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup stop`: ends the training that goes on, after it has saved what it has. The endpoint and the data stay. */
export function register(program: Command): void {
  program
    .command("stop")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .description(say("stop.help"))
    .action(stop);
}

async function stop(experiment: string): Promise<void> {
  const { hostOf } = await import("../project.ts");
  const { interruptSignal } = await import("../interrupt.ts");
  const host = await hostOf(experiment);
  const signal = interruptSignal();
  try {
    process.stdout.write(`${await stopNewest(host, experiment, signal)}\n`);
  } finally {
    await host.close();
  }
}

/** Stops the newest run of an experiment and says what became of it. One that is over stays as it is. */
export async function stopNewest(host: Host, experiment: string, signal: AbortSignal): Promise<string> {
  const newest = await newestRun(host, experiment);
  const { run } = newest;
  const state = overIn(newest);
  if (state !== undefined) return say("stop.over", { run, state });
  const onProgress = (): void => void process.stderr.write(`${say("stop.waits")}\n`);
  const { status } = await host.run("run-stop", { run }, { onProgress, signal });
  if (status === null) throw noRun(experiment);
  // It may have come to its end while it was asked to stop.
  if (status.state !== "stopped") return say("stop.over", { run, state: overIn(status) ?? status.state });
  const { step, totalSteps: total } = status;
  const where = total === 0 ? say("stop.early") : say("stop.step", { step, total });
  return say("stop.done", { run, where, experiment });
}

/** The newest run of an experiment. Throws Fault `run-none` if it has none on its host. */
export async function newestRun(host: Host, experiment: string): Promise<RunStatus> {
  const newest = (await host.run("run-list", { experiment }))[0];
  if (newest === undefined) throw noRun(experiment);
  return newest;
}

function noRun(experiment: string): Fault {
  return new Fault({
    code: "run-none",
    message: `The experiment ${experiment} has no run yet.`,
    next: `\`npx tuneup up ${experiment}\` starts one.`,
  });
}

/** States in which nobody works on a run, and nobody will unless it is declared again. */
const over = {
  complete: "run.state.complete",
  failed: "run.state.failed",
  stopped: "run.state.stopped",
} as const satisfies Partial<Record<RunStatus["state"], TextKey>>;

/** The name of the state for people, if the run is over. */
function overIn({ state }: RunStatus): string | undefined {
  return state in over ? say(over[state as keyof typeof over]) : undefined;
}
