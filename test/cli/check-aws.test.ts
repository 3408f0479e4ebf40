import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { CheckFinding } from "../../recipe/check-report.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";

const command = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
let home: TestHome;
let project: TestProject;
beforeAll(async () => {
  // Without tools: whoever asked for Pulumi here would fetch or build it.
  home = await makeTestHome({ shared: [] });
  project = await makeTestProject();
  await project.writeStack("two-cards", {
    ...{ target: "aws", compute: { gpus: 2 }, model: { source: "hub", id: "some/other" } },
    ...{ datasets: [{ builtin: "identity", name: "Ada", author: "us" }], train: { template: "qwen" } },
  });
});
afterAll(() => Promise.all([home.remove(), project.remove()]));

const tuneup = (...words: readonly string[]) =>
  execa(process.execPath, [command, ...words], { env: home.environment, reject: false, all: true });

it("`tuneup check` proposes a machine for aws, without asking this one what it has", async () => {
  const { stdout, exitCode } = await tuneup("check", "aws-qwen2.5-7b", "--json");
  const { findings } = JSON.parse(stdout) as { findings: readonly CheckFinding[] };
  expect(exitCode).toBe(0);
  expect(findings.find(({ code }) => code === "aws-machine")?.message).toMatch(/^g6\.xlarge /);
  // This machine's Python, disk and driver are none of its concern.
  expect(findings.filter(({ area }) => area === "environment")).toEqual([]);
});

it.each(["render", "adopt", "preview", "up"])(
  "`tuneup %s` refuses what is not started on aws before anything is set up, and says what to do",
  async (word) => {
    const { all, exitCode } = await execa(process.execPath, [`${project.folder}/cli/main.ts`, word, "two-cards"], {
      ...{ env: home.environment, reject: false, all: true },
    });
    expect(all).toMatch(/compute\.gpus: must be 1 for the target aws, where one card trains, got 2\./);
    expect(all).toMatch(/aws\.instanceTypes: is needed for some\/other, whose config\.json is not bundled/);
    expect(exitCode).toBe(1);
    expect(await readdir(home.home)).not.toContain("tools");
  },
);
