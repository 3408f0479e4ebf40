import type { Command } from "commander";
import { say } from "../language/say.ts";

/** Exit code of an audit that found something. */
const found = 2;

/** `tuneup audit`: what of ours is in AWS and no stack owns, with its price a month. Exit code 2 where there is any. */
export function register(program: Command): void {
  program
    .command("audit")
    .option("--region <region...>", say("audit.help.region"))
    .option("--json", say("audit.help.json"))
    .description(say("audit.help"))
    .action(async ({ region = [], json = false }: { region?: string[]; json?: boolean }) => {
      const { audit, auditText } = await import("../audit.ts");
      const told = await audit(region, process.env);
      process.stdout.write(json ? `${JSON.stringify(told, null, 2)}\n` : auditText(told));
      if (told.orphans.length > 0) process.exitCode = found;
    });
}
