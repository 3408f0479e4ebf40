import type { Command } from "commander";
import { say } from "../language/say.ts";

/** `tuneup setup`: the tools alone, without an experiment. */
export function register(program: Command): void {
  program
    .command("setup")
    .description(say("setup.help"))
    .action(async () => {
      const { interruptSignal } = await import("../interrupt.ts");
      const { preparePulumi } = await import("../toolchain/prepare.ts");
      const { home, tool } = await preparePulumi(interruptSignal());
      process.stdout.write(`Pulumi ${tool.version}: ${tool.command}\n${say("setup.data", { home })}\n`);
    });
}
