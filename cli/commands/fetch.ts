import type { Command } from "commander";
import type { Host } from "../../hosts/host.ts";
import { Fault } from "../../recipe/fault.ts";
import type { Progress } from "../../recipe/protocol.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup fetch`: the artifact of the newest complete run, from its host to this machine. */
export function register(program: Command): void {
  program
    .command("fetch")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .description(say("fetch.help"))
    .action(async (experiment: string) => {
      const { onHost } = await import("../project.ts");
      const { interruptSignal } = await import("../interrupt.ts");
      const signal = interruptSignal();
      const folder = await onHost(experiment, (host) => fetchNewest(experiment, host, signal));
      process.stdout.write(`${folder}\n`);
    });
}

/** Brings the artifact of the newest complete run here; returns its folder. What is here already is not brought again. */
async function fetchNewest(experiment: string, host: Host, signal: AbortSignal): Promise<string> {
  const newest = (await host.run("run-list", { experiment })).find(({ state }) => state === "complete");
  if (newest !== undefined) return bring(host, newest.run, signal);
  throw new Fault({
    code: "artifact-none",
    message: `${experiment} has no complete run on ${host.description}.`,
    next: `\`npx tuneup status ${experiment}\` shows what there is.`,
  });
}

/** Brings the artifact of a run here, told on stderr as it goes; stdout is for the result. */
export async function bring(host: Host, run: string, signal: AbortSignal): Promise<string> {
  const { bringArtifact } = await import("../../hosts/artifact.ts");
  const { terminalReport } = await import("../toolchain/report.ts");
  const { homeBeside } = await import("../project.ts");
  const report = terminalReport();
  const options = {
    signal,
    onProgress: ({ message }: Progress) => report.progress(message),
    onLog: (_level: string, message: string) => report.step(message),
  };
  return (await bringArtifact(host, run, homeBeside(host), options)).folder;
}
