import type { Command } from "commander";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup webui`: LLaMA-Factory's own LlamaBoard, for those who like it. */
export function register(program: Command): void {
  program
    .command("webui")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("--port <number>", say("webui.help.port"))
    .description(say("webui.help"))
    .action(async (experiment: string, { port }: { port?: string }) => {
      const { webui } = await import("../webui/webui.ts");
      await webui(experiment, port);
    });
}
