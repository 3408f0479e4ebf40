import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { until } from "../agent/runs/harness.ts";
import { type FakeSsh, fakeSsh } from "../hosts/fake-ssh.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { commandsIn, type Commands } from "../fixtures/tuneup.ts";

/** The commands as they are typed, with an experiment on a machine behind an `ssh` that runs all on this one. */

let ssh: FakeSsh;
let home: TestHome;
let project: TestProject;
let run: Commands;
let environment: Record<string, string>;

beforeAll(async () => {
  ssh = await fakeSsh();
  home = await makeTestHome();
  project = await makeTestProject();
  const sockets = join(home.home, "run");
  await mkdir(sockets, { mode: 0o700 });
  environment = { ...home.environment, XDG_RUNTIME_DIR: sockets };
  run = commandsIn(project, { ...home, environment });
  const { tuneup } = config("local");
  await project.writeStack("far", { ...tuneup, target: "ssh", compute: { host: "my-gpu", device: "cpu" } });
  // Its own Node, so that none is brought.
  const tools = join(ssh.home, ".local/share/tuneup/tools/node-24/bin");
  await mkdir(tools, { recursive: true, mode: 0o700 });
  await symlink(process.execPath, join(tools, "node"));
});
afterEach(() => ssh.admit());
afterAll(async () => {
  await ssh.remove();
  await project.remove();
  await home.remove();
});

/** A committed experiment, its keys without `tuneup:`. */
function config(name: string): { readonly tuneup: Record<string, unknown> } {
  const text = readFileSync(fileURLToPath(new URL(`../../stacks/Pulumi.${name}.yaml`, import.meta.url)), "utf8");
  const values = (parse(text) as { config: Record<string, unknown> }).config;
  return {
    tuneup: Object.fromEntries(Object.entries(values).map(([key, value]) => [key.replace("tuneup:", ""), value])),
  };
}

const unresolved = "ssh: Could not resolve hostname my-gpu: Name or service not known";

it("status asks the machine itself", async () => {
  const { all, exitCode } = await run.tuneup("status", "far");
  expect(exitCode, all).toBe(0);
  expect(all).toMatch(/^far {2}on my-gpu\n.*npx tuneup up far/);
});

it("status of all says of a machine that can't be reached no more than that nothing of it is up", async () => {
  await ssh.refuse(unresolved);
  const { stdout, exitCode } = await run.tuneup("status", "--json");
  expect(exitCode).toBe(0);
  const rows = JSON.parse(stdout) as { experiment: string }[];
  const far = { experiment: "far", host: "my-gpu", run: null, endpoint: null, asked: false };
  expect(rows.find(({ experiment }) => experiment === "far")).toEqual(far);
  expect((await run.tuneup("status")).stdout).toContain("far  on my-gpu\n  not up: npx tuneup up far");
});

it("status of one says in a sentence that its machine can't be reached; of all, it hides none of the others", async () => {
  await ssh.refuse(unresolved);
  const stacks = join(home.home, "state/.pulumi/stacks/tuneup");
  await mkdir(stacks, { recursive: true, mode: 0o700 });
  const checkpoint = { latest: { resources: [{ type: "pulumi:pulumi:Stack" }] } };
  await writeFile(join(stacks, "far.json"), JSON.stringify({ version: 3, checkpoint }));
  const one = await run.tuneup("status", "far");
  expect(one.exitCode).toBe(1);
  expect(one.all).toMatch(/my-gpu can't be reached: .*Name or service not known\. compute\.host takes any name/);
  const all = await run.tuneup("status", "--json");
  expect(all.exitCode, all.all).toBe(0);
  const rows = JSON.parse(all.stdout) as { experiment: string; host: string; fault?: { code: string } }[];
  const row = (name: string) => rows.find(({ experiment }) => experiment === name);
  expect(row("far")).toMatchObject({ host: "my-gpu", fault: { code: "ssh-unreachable" } });
  expect(row("local")).toMatchObject({ host: "this machine" });
  expect(row("local")).not.toHaveProperty("fault");
  await rm(join(stacks, "far.json"));
});

it("what is not there is said with its machine", async () => {
  const [endpoint, fetched, adopted, logs] = await Promise.all([
    run.tuneup("open", "far"),
    run.tuneup("fetch", "far"),
    run.tuneup("adopt", "far"),
    run.tuneup("logs", "far"),
  ]);
  expect(endpoint.all).toMatch(/^far has no endpoint\. /);
  expect(fetched.all).toMatch(/^far has no complete run on my-gpu\. /);
  expect(adopted.all).toMatch(/^my-gpu has no run of far in .*compute\.host or storage\.dataDirectory/);
  expect(logs.all).toMatch(/^The experiment far has no run in .*/);
  expect([endpoint, fetched, adopted, logs].map(({ exitCode }) => exitCode)).toEqual([1, 1, 1, 1]);
});

/** Processes of the fake host's agent that run this command: they are what a connection is elsewhere. */
async function agentsOf(command: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const words = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (words.includes(ssh.home) && words.includes(`\0${command}\0`)) found.push(Number(name));
  }
  return found;
}

it("logs -f goes on by itself after a lost connection, each line once, and ends at Ctrl-C", async () => {
  const folder = join(ssh.home, ".local/share/tuneup/endpoints/far");
  await mkdir(folder, { recursive: true });
  const log = join(folder, "gateway.log");
  await writeFile(log, "one\ntwo\n");
  const words = [join(project.folder, "cli/main.ts"), "logs", "far", "-f", "--endpoint"];
  const following = execa(process.execPath, words, { cwd: project.folder, env: environment, extendEnv: false });
  let said = "";
  let told = "";
  following.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  following.stderr.setEncoding("utf8").on("data", (text: string) => (told += text));
  await until(() => said.includes("two"));
  for (const pid of await agentsOf("logs")) process.kill(pid, "SIGKILL");
  await until(() => told.includes("lost"));
  await appendFile(log, "three\n");
  await until(() => said.includes("three"));
  following.kill("SIGINT");
  expect((await following).exitCode).toBe(0);
  expect(said).toBe("one\ntwo\nthree\n");
  expect(told).toMatch(/^\(the connection to my-gpu is lost; trying again\)\n$/);
});

it("render shows the paths that it will have there", async () => {
  const { all, exitCode } = await run.tuneup("render", "far");
  expect(exitCode, all).toBe(0);
  expect(all).toContain(`output_dir: ${ssh.home}/.local/share/tuneup/runs/far-`);
});

it("webui refuses without asking the machine", async () => {
  const before = await ssh.calls();
  const { all, exitCode } = await run.tuneup("webui", "far");
  expect(exitCode).toBe(1);
  expect(all).toMatch(/for experiments on this machine alone, and far is on my-gpu\. .*tuneup open far/);
  expect(await ssh.calls()).toEqual(before);
});

it("doctor looks at the experiment's machine, and says why it does not answer", async () => {
  const checksOf = async () => {
    const { stdout } = await run.tuneup("doctor", "far", "--json");
    return (JSON.parse(stdout) as { checks: { name: string; state: string; detail: string; next?: string }[] }).checks;
  };
  const checks = await checksOf();
  expect(checks.find(({ name }) => name === "host")).toMatchObject({ state: "ok" });
  expect(checks.find(({ name }) => name === "data directory")?.detail).toBe(`${ssh.home}/.local/share/tuneup`);
  await ssh.refuse("my-gpu: Permission denied (publickey).");
  const refused = (await checksOf()).find(({ name }) => name === "host");
  expect(refused).toMatchObject({ state: "missing" });
  expect(refused?.detail).toMatch(/lets none of your keys in/);
  expect(refused?.next).toMatch(/ssh my-gpu true/);
});

it("the shipped example names no machine: status reports no failure, render says what is missing, set names one", async () => {
  const status = await run.tuneup("status", "ssh-demo");
  expect(status.exitCode, status.all).toBe(0);
  expect(status.all).toMatch(/^ssh-demo\n/);
  const render = await run.tuneup("render", "ssh-demo");
  expect(render.exitCode).toBe(1);
  expect(render.all).toMatch(/compute\.host: is required with `tuneup:target: ssh`/);
  const { all, exitCode } = await run.tuneup("set", "ssh-demo", "compute.host=box7");
  expect(exitCode, all).toBe(0);
  await ssh.refuse(unresolved);
  expect((await run.tuneup("status", "ssh-demo")).all).toMatch(/^compute\.host: box7 can't be reached/);
});

it("leaves no connection open", async () => {
  await run.tuneup("status", "far");
  expect((await ssh.calls()).some((call) => call.endsWith("my-gpu true"))).toBe(true);
  // What the fake has instead of a connection that is kept.
  expect(existsSync(join(ssh.home, "../master"))).toBe(false);
});
