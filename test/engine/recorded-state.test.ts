import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { commandsIn, type Commands } from "../fixtures/tuneup.ts";

/** State and stack file as each release wrote them after `up local`. A release adds its own and removes none. */
const recorded = fileURLToPath(new URL("../fixtures/state", import.meta.url));
const recordedHome = "/home/user/.local/share/tuneup";

let home: TestHome;
let project: TestProject;
let run: Commands;

beforeAll(async () => {
  home = await makeTestHome();
  project = await makeTestProject();
  run = commandsIn(project, home);
});

afterAll(async () => {
  await project.remove();
  await home.remove();
});

/** The recorded state in this test's data directory, its secrets to be encrypted by this test's stack. */
async function stateFor(release: string): Promise<string> {
  const stack = parse(await readFile(join(project.folder, "stacks/Pulumi.local.yaml"), "utf8")) as {
    encryptionsalt: string;
  };
  const text = await readFile(join(recorded, `${release}.json`), "utf8");
  const state = JSON.parse(text.replaceAll(recordedHome, home.home)) as { deployment: object };
  const secrets = { type: "passphrase", state: { salt: stack.encryptionsalt } };
  return JSON.stringify({ ...state, deployment: { ...state.deployment, secrets_providers: secrets } });
}

const releases = (await readdir(recorded))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -".json".length));

it.each(releases)("state of release %s is taken as it is: no new run", async (release) => {
  await cp(join(recorded, `${release}.yaml`), join(project.folder, "stacks/Pulumi.local.yaml"));
  await run.pulumi("stack", "init", "local");
  const file = join(home.home, "state.json");
  await writeFile(file, await stateFor(release));
  const imported = await run.pulumi("stack", "import", "--stack", "local", "--file", file);
  expect(imported.exitCode, imported.all).toBe(0);
  const preview = await run.pulumi("preview", "--stack", "local", "--non-interactive");
  expect(preview.exitCode, preview.all).toBe(0);
  expect(preview.all).toMatch(/Resources:\s+15 unchanged/);
  const export_ = await run.pulumi("stack", "export", "--stack", "local");
  expect(export_.stdout).not.toContain("tuneup-recorded-key");
});
