import type { Command } from "commander";
import { runProgress } from "../../recipe/run-progress.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup adopt`: where Pulumi's state is lost, the host's run is found and `up` takes it over. */
export function register(program: Command): void {
  program
    .command("adopt")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .description(say("adopt.help"))
    .action(adopt);
}

async function adopt(experiment: string): Promise<void> {
  const { onHost, projectFolder } = await import("../project.ts");
  const { runnableExperiment } = await import("../runnable.ts");
  const { adoptable } = await import("../adoption.ts");
  const { foresee } = await import("../render/prepared.ts");
  const { pinsFile } = await import("../../recipe/pins.ts");
  const { up } = await import("./up.ts");
  const config = await runnableExperiment(experiment);
  await onHost(experiment, async (host) => {
    const { prepared } = await foresee(experiment, config, host, pinsFile(`${projectFolder}/stacks`, experiment));
    const run = prepared.run.endsWith(">") ? undefined : prepared.run;
    const found = await adoptable(host, { experiment, run, config: { ...config } });
    const told = { host: host.description, run: found.run, progress: runProgress(found).message };
    process.stdout.write(`${say("adopt.found", told)}\n`);
  });
  await up(experiment);
}
