import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { Fault } from "../../recipe/fault.ts";
import type { Host } from "../../hosts/host.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import { declaration } from "../../recipe/s3-access.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";
import { newestRun } from "./stop.ts";

/** `tuneup resume`: goes on with the newest run that was stopped, failed or lost its supervisor. Needs no Pulumi. */
export function register(program: Command): void {
  program
    .command("resume")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .description(say("resume.help"))
    .action(resume);
}

async function resume(experiment: string): Promise<void> {
  const { hostSpecFor } = await import("../project.ts");
  const { connect } = await import("../../hosts/connect.ts");
  const { interruptSignal } = await import("../interrupt.ts");
  const place = await hostSpecFor(experiment);
  const host = await connect(place);
  const signal = interruptSignal();
  try {
    process.stdout.write(`${await resumeNewest(host, experiment, signal, place)}\n`);
  } finally {
    await host.close();
  }
}

/** How often a run that was declared is asked whether it has begun. */
const pollInterval = 500;

/**
 * Declares the newest run of an experiment again, from what the host has stored of it, and says from which step it goes on. Says
 * so if it is complete or goes on already. `place`: where the host is, which decides how it reaches a bucket; default: this machine. Throws the
 * run's Fault if it fails at once.
 */
export async function resumeNewest(
  host: Host,
  experiment: string,
  signal: AbortSignal,
  place: Parameters<typeof declaration>[1] = { kind: "local" },
): Promise<string> {
  const { run } = await newestRun(host, experiment);
  const before = await readOf(host, run);
  const { status } = before;
  // A complete run whose files were damaged is repaired by its declaration.
  if (status.state === "complete" && before.damage === undefined) return say("resume.complete", { run, experiment });
  if (["queued", "training", "saving"].includes(status.state)) return say("resume.alive", { run, experiment });
  await host.run("run-declare", declaration(before.spec, place, process.env));
  for (;;) {
    signal.throwIfAborted();
    const now = await readOf(host, run);
    if (now.status.state === "failed" && now.status.fault !== undefined) throw new Fault(factsOf(now.status.fault));
    if (now.status.attempt > status.attempt || now.status.state === "complete") {
      // What an attempt begins with is the step of its checkpoint; afterwards it counts on.
      return say("resume.done", { run, step: await firstStep(host, run, now.status.step), experiment });
    }
    if (now.status.detail?.startsWith("waits for") === true) return say("resume.queued", { run, experiment });
    await delay(pollInterval, undefined, { signal }).catch(() => undefined);
  }
}

type Read = NonNullable<CommandOutput<"run-read">>;

async function readOf(host: Host, run: string): Promise<Read> {
  const read = await host.run("run-read", { run });
  if (read !== null) return read;
  throw new Fault({ code: "run-gone", message: `Run ${run} was deleted meanwhile.`, blame: "infrastructure" });
}

/** The step that the last attempt began after, as its event says; `otherwise` where it says none. */
async function firstStep(host: Host, run: string, otherwise: number): Promise<number> {
  const { events } = await host.run("run-curve", { run });
  const message = events.findLast(({ kind }) => kind === "attempt")?.message ?? "";
  if (message.endsWith("from the start")) return 0;
  return Number(/checkpoint at step (\d+)/.exec(message)?.[1] ?? otherwise);
}

function factsOf({ code, property, message, next, blame }: NonNullable<Read["status"]["fault"]>) {
  return {
    ...{ code, message },
    ...(property === undefined ? {} : { property }),
    ...(next === undefined ? {} : { next }),
    ...(blame === undefined ? {} : { blame }),
  };
}
