import { styleText } from "node:util";
import type { Command } from "commander";
import { say } from "../language/say.ts";
import { Fault } from "../../recipe/fault.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup render`: what the host will get, to look at or to run by hand. */
export function register(program: Command): void {
  program
    .command("render")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("--out <folder>", say("render.help.out"))
    .description(say("render.help"))
    .action(renderExperiment);
}

async function renderExperiment(experiment: string, { out }: { out?: string }): Promise<void> {
  const { onHost, projectFolder } = await import("../project.ts");
  const { runnableExperiment } = await import("../runnable.ts");
  const { pinsFile } = await import("../../recipe/pins.ts");
  const { foresee } = await import("../render/prepared.ts");
  const { render, shellLine } = await import("../render/render.ts");
  const runnable = await runnableExperiment(experiment);
  const pins = pinsFile(`${projectFolder}/stacks`, experiment);
  const foreseen = await onHost(experiment, (host) => foresee(experiment, runnable, host, pins));
  const { files, commands } = render(runnable, foreseen);
  const script = commands.map((command) => `# ${command.what}\n${shellLine(command)}\n`).join("\n");
  if (out === undefined) {
    for (const { path, text } of files) process.stdout.write(`${styleText("bold", `# ${path}`)}\n${text}\n`);
    process.stdout.write(script);
  } else await writeFiles(out, [...files, { name: "commands.sh", text: `#!/bin/sh\n${script}` }]);
  for (const line of foreseen.unknown) process.stderr.write(`${line}\n`);
}

/** A train.yaml or dataset_info.json that somebody else wrote is not ours to replace; beside a commands.sh they are an earlier `render`'s. */
async function requireOwn(folder: string, files: readonly { readonly name: string }[]): Promise<void> {
  const { readdir } = await import("node:fs/promises");
  const there = await readdir(folder).catch((): string[] => []);
  const taken = files.filter(({ name }) => there.includes(name)).map(({ name }) => name);
  if (taken.length === 0 || there.includes("commands.sh")) return;
  throw new Fault({
    code: "render-out",
    property: "--out",
    message: `${folder} has a ${taken.join(" and a ")} that \`tuneup render\` did not write.`,
    next: "Choose an empty folder.",
  });
}

async function writeFiles(
  folder: string,
  files: readonly { readonly name: string; readonly text: string }[],
): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  const { makeFolder } = await import("../../agent/files.ts");
  await requireOwn(folder, files);
  try {
    await makeFolder(folder);
    for (const { name, text } of files) await writeFile(`${folder}/${name}`, text);
  } catch (thrown) {
    throw new Fault({
      code: "render-out",
      property: "--out",
      message: `${folder} can't be written: ${(thrown as Error).message}.`,
      next: "Choose a folder of your own.",
    });
  }
  process.stdout.write(`${folder}: ${files.map(({ name }) => name).join(", ")}\n`);
}
