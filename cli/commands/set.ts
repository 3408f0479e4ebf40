import type { Command } from "commander";
import { say } from "../language/say.ts";
import { Fault } from "../../recipe/fault.ts";
import type { StackEdit } from "../../recipe/stack-edit.ts";

/** `tuneup set`: values of an experiment, checked before they are written. */
export function register(program: Command): void {
  program
    .command("set")
    .argument("<experiment>", say("help.experiment"))
    .argument("[values...]", say("set.help.values"))
    .option("--unset <key...>", say("set.help.unset"))
    .description(say("set.help"))
    .action(set);
}

async function set(experiment: string, values: readonly string[], { unset = [] }: { unset?: string[] }): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  const { stackFile } = await import("../project.ts");
  const { writeStack } = await import("../stack-file.ts");
  const { editStack } = await import("../../recipe/stack-edit.ts");
  const edits: StackEdit[] = [...values.map(editOf), ...unset.map((property) => ({ property }))];
  if (edits.length === 0) {
    throw new Fault({
      code: "set-nothing",
      message: "nothing to set.",
      next: `Say for example \`npx tuneup set ${experiment} train.learning_rate=2e-4\`.`,
    });
  }
  const path = await stackFile(experiment);
  const before = await readFile(path, "utf8");
  const after = editStack(before, edits);
  if (after !== before) await writeStack(path, after);
  const changes = edits.map(({ property, value }) =>
    value === undefined ? say("set.unset", { key: property }) : `${property}: ${value}`,
  );
  const what = after === before ? say("set.unchanged") : changes.join(say("set.between"));
  process.stdout.write(`${say("set.done", { experiment, what })}\n`);
}

function editOf(pair: string): Required<StackEdit> {
  const at = pair.indexOf("=");
  if (at > 0)
    return {
      property: pair
        .slice(0, at)
        .trim()
        .replace(/^tuneup:/, ""),
      value: pair.slice(at + 1),
    };
  throw new Fault({
    code: "set-pair",
    message: `${JSON.stringify(pair)} is not KEY=VALUE.`,
    next: "Say for example train.learning_rate=2e-4; --unset KEY takes one out.",
  });
}
