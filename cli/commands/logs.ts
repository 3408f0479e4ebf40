import type { Command } from "commander";
import type { CommandOptions } from "../../hosts/host.ts";
import { Fault } from "../../recipe/fault.ts";
import type { LogPosition } from "../../recipe/protocol.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup logs`: the trainer's own output, or the gateway's lines. */
export function register(program: Command): void {
  program
    .command("logs")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("-f, --follow", say("logs.help.follow"))
    .option("--endpoint", say("logs.help.endpoint"))
    .option("-n, --lines <count>", say("logs.help.lines"), "200")
    .description(say("logs.help"))
    .action(logs);
}

interface LogOptions {
  readonly follow?: boolean;
  readonly endpoint?: boolean;
  readonly lines: string;
}

async function logs(experiment: string, { follow = false, endpoint = false, lines }: LogOptions): Promise<void> {
  if (!/^\d+$/.test(lines)) {
    throw new Fault({
      code: "option-value",
      property: "--lines",
      message: `must be a whole number, got ${JSON.stringify(lines)}.`,
    });
  }
  const { onHost } = await import("../project.ts");
  const { interruptSignal } = await import("../interrupt.ts");
  const signal = interruptSignal();
  // `tuneup logs | head` closes our stdout: that is an end, not a fault.
  process.stdout.on("error", () => process.exit(0));
  const input = { experiment, of: endpoint ? "endpoint" : "run", follow, lines: Number(lines) } as const;
  try {
    await onHost(experiment, (host) => host.run("logs", input, { ...follower(), signal }));
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

/** Prints each line once, though a lost connection is made again: it goes on where it ended. That it is lost is told on stderr. */
function follower(): Pick<CommandOptions, "onLine" | "onProgress" | "again"> {
  let position: LogPosition | undefined;
  let told: string | undefined;
  return {
    onLine: (line, at) => {
      process.stdout.write(`${line}\n`);
      position = at ?? position;
      told = undefined;
    },
    onProgress: ({ message }) => {
      if (message !== told) process.stderr.write(`(${message})\n`);
      told = message;
    },
    again: () => (position === undefined ? {} : { from: position }),
  };
}
