import type { Command } from "commander";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup preview`: all checks, and what `up` would change; nothing is started. */
export function register(program: Command): void {
  program
    .command("preview")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .description(say("preview.help"))
    .action(async (experiment: string) => {
      const { policiesFor, requireProvisioned } = await import("../runnable.ts");
      await requireProvisioned(experiment);
      const { Display } = await import("../display.ts");
      const { openStack } = await import("../stack.ts");
      const { withDisplay } = await import("../update.ts");
      const { interruptSignal } = await import("../interrupt.ts");
      const display = new Display();
      const signal = interruptSignal();
      const policies = await policiesFor(experiment);
      const stack = await openStack(experiment, (line) => display.say(line), signal);
      const { changeSummary } = await withDisplay(
        (options) => stack.preview({ ...policies, ...options }),
        display,
        say("preview.interrupting"),
        signal,
      );
      const changes = Object.entries(changeSummary).filter(([operation]) => operation !== "same");
      const text = changes
        .map(([operation, count]) => say("preview.change", { count, operation }))
        .join(say("preview.between"));
      const told = changes.length === 0 ? say("preview.none") : text;
      process.stdout.write(`${say("preview.result", { experiment, changes: told })}\n`);
    });
}
