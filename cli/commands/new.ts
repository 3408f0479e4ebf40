import type { Command } from "commander";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup new`: an experiment begun from another. */
export function register(program: Command): void {
  program
    .command("new")
    .argument("<name>", say("new.help.name"))
    .option("--from <experiment>", say("new.help.from"), defaultExperiment)
    .description(say("new.help"))
    .action(begin);
}

async function begin(name: string, { from }: { from: string }): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  const { stackFile } = await import("../project.ts");
  const { newStackPath, writeStack } = await import("../stack-file.ts");
  const { copiedStack } = await import("../../recipe/stack-edit.ts");
  const source = await stackFile(from);
  const target = newStackPath(name);
  await writeStack(target, copiedStack(await readFile(source, "utf8")));
  process.stdout.write(`${say("new.written", { experiment: name, from })}\n${say("new.next", { experiment: name })}\n`);
}
