import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { needsRoot } from "./ssh/needs-root.ts";
import { openSshStage, type SshStage } from "./ssh/stage.ts";

/** What a host shows of an experiment that trained and serves there, with a hub token. One stage, looked at from all sides. */
const name = "tiny";
const hubToken = "hf_canary7720934812";
let stage: SshStage;
/** The endpoint's key, which the host made. */
let key: string;
/** All command lines of the host's user while it was at work. */
const shown = new Set<string>();

needsRoot(
  async () => {
    stage = await openSshStage({ secrets: [hubToken] });
    await stage.write(name, 10, { serve: { base: false } });
    expect((await stage.pulumi("stack", "init", name)).code).toBe(0);
    const set = await stage.pulumiWith(hubToken, "config", "set", "--secret", "--stack", name, "tuneup:hubToken");
    expect(set.code, set.said).toBe(0);
    const up = stage.start("up", name);
    while (!up.over()) {
      for (const { words } of await stage.rig.processes()) shown.add(words);
      // What a process was started with is in its environment as well, which root reads.
      for (const words of await environments()) shown.add(words);
    }
    const { code, said } = await up.ended;
    expect(code, said).toBe(0);
    key = (await readFile(join(stage.data, "endpoints", name, "key"), "utf8")).trim();
    expect(key.length).toBeGreaterThan(20);
  },
  () => stage.remove(),
);

/** Environments of the user's processes on the host. */
async function environments(): Promise<string[]> {
  const pids = (await stage.rig.processes()).map(({ pid }) => pid);
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")));
}

/** Every file and folder below the user's home on the host, but for the environment that the rig shows from elsewhere. */
async function entries(): Promise<{ readonly path: string; readonly mode: number; readonly isFile: boolean }[]> {
  const all = await readdir(stage.rig.home, { recursive: true, withFileTypes: true });
  const ours = all.filter((entry) => entry.isFile() || entry.isDirectory());
  const found = ours.map((entry) => join(entry.parentPath, entry.name));
  const kept = found.filter((path) => !relative(stage.data, path).startsWith("env"));
  return Promise.all(
    kept.map(async (path) => {
      const stats = await stat(path);
      return { path, mode: stats.mode & 0o777, isFile: stats.isFile() };
    }),
  );
}

test("the data directory and all that is in it is for its user alone", async () => {
  const inside = (await entries()).filter(({ path }) => path === stage.data || path.startsWith(`${stage.data}/`));
  expect((await stat(stage.data)).mode & 0o777).toBe(0o700);
  for (const part of ["runs", "models", "datasets", "endpoints", "agent"]) {
    expect(inside.map(({ path }) => path)).toContain(join(stage.data, part));
  }
  const open = inside.filter(({ mode }) => (mode & 0o077) !== 0).map(({ path, mode }) => `${mode.toString(8)} ${path}`);
  expect(open).toEqual([]);
  const executable = inside.filter(({ isFile, mode }) => isFile && mode !== 0o600).map(({ path }) => path);
  // Programs, and the few files of Node's package that say they are.
  expect(executable.filter((path) => !path.startsWith(join(stage.data, "tools")))).toEqual([]);
  const key = inside.find(({ path }) => path === join(stage.data, "endpoints", name, "key"));
  expect(key?.mode).toBe(0o600);
});

test("no process shows a secret, on the host or here", async () => {
  await stage.rig.ssh("true");
  for (const { words } of await stage.rig.processes()) shown.add(words);
  const all = [...shown].join("\n");
  expect(all).toContain("agent.mjs serve");
  expect(all).toContain("train.py");
  expect(all).not.toContain(hubToken);
  expect(all).not.toContain(key);
  expect(stage.watch.looks).toBeGreaterThan(0);
  expect(stage.watch.leaks).toEqual([]);
});

test("no log, record, shell history or unit file holds a secret, and the key lies in its own file alone", async () => {
  const holders: string[] = [];
  for (const { path, isFile } of await entries()) {
    if (!isFile) continue;
    const bytes = await readFile(path);
    if (bytes.includes(hubToken) || bytes.includes(key)) holders.push(relative(stage.data, path));
  }
  expect(holders).toEqual([`endpoints/${name}/key`]);
  const names = (await readdir(stage.rig.home, { recursive: true })).filter((path) => !path.includes("/env/"));
  expect(names.filter((path) => /(^|\/)\.\w*history$/.test(path))).toEqual([]);
  for (const folder of ["/var/log", "/tmp", "/run"]) {
    for (const secret of [hubToken, key]) {
      // 1: nothing found.
      expect(await stage.rig.inside(["bash", "-c", `grep -rsIF -- '${secret}' ${folder}; echo $?`])).toMatch(/^[12]$/);
    }
  }
});

test("the state and what was said hold no secret in plain text", async () => {
  const { said } = await stage.pulumi("stack", "export", "--stack", name);
  expect(said).toContain("ChatEndpoint");
  const stored = await readFile(join(stage.home, "state/.pulumi/stacks/tuneup", `${name}.json`), "utf8");
  for (const text of [said, stored, stage.transcript()]) {
    expect(text).not.toContain(hubToken);
    expect(text).not.toContain(key);
  }
});
