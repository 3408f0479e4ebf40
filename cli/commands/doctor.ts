import type { Command } from "commander";
import { say } from "../language/say.ts";

/** `tuneup doctor`: checks this machine; writes a support bundle without secrets. */
export function register(program: Command): void {
  program
    .command("doctor")
    .argument("[experiment]", say("doctor.help.experiment"))
    .description(say("doctor.help"))
    .option("--json", say("doctor.help.json"))
    .option("--bundle <file>", say("doctor.help.bundle"))
    .action(async (experiment: string | undefined, options: { json?: boolean; bundle?: string }) => {
      const { doctor } = await import("../doctor/doctor.ts");
      process.exitCode = await doctor({ ...options, experiment });
    });
}
