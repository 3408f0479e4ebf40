import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { childEnvironment } from "../agent/processes.ts";
import { sharedHome } from "../test/fixtures/home.ts";
import { environmentPython } from "../test/fixtures/tiny-model.ts";

/** Every argument that LLaMA-Factory takes, read from the locked environment. `npm run read:arguments` writes it. */
export const argumentsPath = fileURLToPath(new URL("../recipe/llamafactory-arguments.json", import.meta.url));

const script = fileURLToPath(new URL("./read_arguments.py", import.meta.url));

/** The text of recipe/llamafactory-arguments.json, as this Python's packages give it. */
export async function readArguments(python: string): Promise<string> {
  const { stdout } = await execa(python, [script], { env: childEnvironment({}), extendEnv: false });
  return `${stdout}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(argumentsPath, await readArguments(await environmentPython(sharedHome)));
}
