import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { until } from "../agent/runs/harness.ts";
import { commandsIn, type Commands } from "../fixtures/tuneup.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { changesIn } from "../faults/soundness.ts";
import { needsRoot } from "../faults/ssh/needs-root.ts";
import { openRig, type Rig } from "../faults/ssh/rig.ts";

/** The committed experiment over ssh, as a user gets it: a host with nothing of ours on it but the Python environment. */
const experiment = "ssh-demo";
const ada = /(?<![A-Za-z])Ada(?![A-Za-z])/;

let rig: Rig;
let home: TestHome;
let project: TestProject;
let run: Commands;
let upOutput: string;

needsRoot(
  async () => {
    [rig, home, project] = await Promise.all([openRig(), makeTestHome(), makeTestProject()]);
    run = commandsIn(project, { ...home, environment: { ...home.environment, ...rig.environment } });
    const missing = await run.tuneup("preview", experiment);
    expect(missing.exitCode, missing.all).toBe(1);
    expect(missing.all).toMatch(/tuneup:compute\.host: is required/);
    const set = await run.tuneup("set", experiment, `compute.host=${rig.alias}`);
    expect(set.exitCode, set.all).toBe(0);
    const up = await run.tuneup("up", experiment);
    upOutput = up.all;
    expect(up.exitCode, up.all).toBe(0);
  },
  async () => {
    await run.tuneup("down", experiment, "--yes");
    await rig.remove();
    await Promise.all([home.remove(), project.remove()]);
  },
);

it("trains on the host and answers from there, the base model beside it", async () => {
  expect(upOutput).toMatch(/Who are you\?[\s\S]*base .*\n.*ssh-demo .*Ada/);
  const { stdout } = await run.tuneup("status", experiment, "--json");
  const [row] = JSON.parse(stdout) as [{ run: { state: string }; endpoint: { state: string } }];
  expect([row.run.state, row.endpoint.state]).toEqual(["complete", "ready"]);
  const words = (await rig.processes()).map((process) => process.words).join("\n");
  expect(words).toContain(`agent.mjs serve --data-directory ${rig.data} --experiment ${experiment}`);
});

it("chat asks it through a tunnel that ends with it", async () => {
  const words = [join(project.folder, "cli/main.ts"), "chat", experiment];
  const environment = { ...home.environment, ...rig.environment };
  const options = { cwd: project.folder, env: environment, extendEnv: false, all: true, reject: false } as const;
  const { all, exitCode } = await execa(process.execPath, words, { ...options, input: "Who are you?\n" });
  expect(exitCode, all).toBe(0);
  expect(all).toMatch(ada);
  expect(await rig.clients()).toEqual([]);
});

it("a second up changes nothing, and so does plain pulumi", async () => {
  const start = performance.now();
  const again = await run.tuneup("up", experiment);
  console.log(`The second up took ${((performance.now() - start) / 1000).toFixed(1)} s.`);
  expect(again.exitCode, again.all).toBe(0);
  expect(changesIn(again.all)).toEqual([]);
  const plain = await run.pulumi("up", "--stack", experiment, "--yes", "--non-interactive");
  expect(plain.all).toMatch(/Resources:\s+\d+ unchanged/);
});

it("down leaves the data directory and nothing that runs", async () => {
  const down = await run.tuneup("down", experiment, "--yes");
  expect(down.exitCode, down.all).toBe(0);
  // The host's sshd notices a moment after the command has ended that its connection is closed.
  await until(async () => (await rig.processes()).length === 0);
  expect(await rig.listening()).toEqual([]);
  expect(await rig.clients()).toEqual([]);
  expect(await rig.ssh("ls -A; ls -A /tmp")).toBe(".local");
});
