import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type FakeHub, startHub } from "../fixtures/hub.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";
import { commandsIn } from "../fixtures/tuneup.ts";

/** A whole `tuneup up` from a hub on loopback, on one machine and then on another. */
let hub: FakeHub;
let project: TestProject;
const homes: TestHome[] = [];

beforeAll(async () => {
  hub = await startHub("tiny/model", await tinyModel(sharedHome, await environmentPython(sharedHome)));
  project = await makeTestProject();
});
afterAll(async () => {
  for (const home of homes) await home.remove();
  await project.remove();
  await hub.close();
});

/** `up` on a machine that has nothing but the environment; returns the run's name and the fetched weights. */
async function upOnNewMachine() {
  // As it comes from version control: Pulumi has put this machine's salt into it.
  await project.writeStack("pinned", {
    model: { source: "huggingface", id: "tiny/model" },
    datasets: [{ builtin: "general" }],
    train: { template: "qwen", finetuning_type: "lora", max_steps: 1, cutoff_len: 64 },
    serve: { enabled: false },
    wait: false,
  });
  const home = await makeTestHome({ shared: ["tools", "env"] });
  homes.push(home);
  const variables = { HF_ENDPOINT: hub.url, HF_HUB_DISABLE_XET: "1" };
  const run = commandsIn(project, { ...home, environment: { ...home.environment, ...variables } });
  const up = await run.tuneup("up", "pinned");
  expect(up.exitCode, up.all).toBe(0);
  const status = JSON.parse((await run.tuneup("status", "pinned", "--json")).stdout) as [{ run: { run: string } }];
  const down = await run.tuneup("down", "pinned", "--yes");
  expect(down.exitCode, down.all).toBe(0);
  const weights = (await readdir(join(home.home, "models"))).filter((name) => name.startsWith("tiny"));
  return { run: status[0].run.run, weights, said: up.all };
}

it("takes the commit of the first up on another machine too, although the branch moved, for the same run", async () => {
  const first = await upOnNewMachine();
  const lock = await readFile(join(project.folder, "stacks/pinned.lock.json"), "utf8");
  expect(JSON.parse(lock)).toMatchObject({
    model: { id: "tiny/model", source: "huggingface", revision: hub.commit, asked: { source: "huggingface" } },
  });
  expect(first.said).toMatch(/tiny\/model is 0123456789ab at Hugging Face: .*licence apache-2\.0/);
  hub.commit = "f".repeat(40);
  const second = await upOnNewMachine();
  expect(second).toMatchObject({ run: first.run, weights: ["tiny--model@0123456789ab"] });
  expect(await readFile(join(project.folder, "stacks/pinned.lock.json"), "utf8")).toBe(lock);
});
