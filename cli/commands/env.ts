import type { Command } from "commander";
import { say } from "../language/say.ts";

/** `tuneup env`: the variables with which plain `pulumi` does what ours does, for a shell to eval. */
export function register(program: Command): void {
  program
    .command("env")
    .description(say("env.help"))
    .action(async () => {
      const { interruptSignal } = await import("../interrupt.ts");
      const { preparePulumi } = await import("../toolchain/prepare.ts");
      const { variables } = await preparePulumi(interruptSignal());
      // A data directory that was found on a notebook's disk: plain pulumi would look in the usual place.
      const found = process.env["TUNEUP_HOME"];
      const all = found === undefined ? variables : { ...variables, TUNEUP_HOME: found };
      for (const [name, value] of Object.entries(all)) {
        process.stdout.write(`export ${name}='${value.replaceAll("'", `'\\''`)}'\n`);
      }
    });
}
