import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, test, vi } from "vitest";
import type { asset } from "../../agent/assets.ts";
import { requirePython } from "../../agent/environment/python.ts";
import { connect } from "../../hosts/connect.ts";
import type { Host } from "../../hosts/host.ts";
import { pushEnvironment } from "../../provider/push-environment.ts";
import { packageSources } from "../../provider/wheels/sources.ts";
import { until } from "../agent/runs/harness.ts";
import { agentWith } from "../fixtures/agent-with.ts";
import { makeTestHome, type TestHome } from "../fixtures/home.ts";
import { type PackageIndex, packageIndex, sha256Of } from "../fixtures/package-index.ts";
import { needsRoot } from "./ssh/needs-root.ts";
import { openRig, type Rig } from "./ssh/rig.ts";

/**
 * A host that reaches nothing but its end of the wire gets its Python environment from here: the real sshd, agent, uv and Python, and packages
 * of a few lines in the place of 3 GB. uv itself is the real one. One after the other.
 */
const changed = vi.hoisted((): { texts: Record<string, string>; agent: string } => ({ texts: {}, agent: "" }));
vi.mock("../../agent/assets.ts", async (original) => {
  const real = await original<{ asset: typeof asset }>();
  return { asset: (path: string) => changed.texts[path] ?? real.asset(path) };
});
vi.mock("../../hosts/bundle.ts", async (original) => {
  const real = await original<{ bundlePath: () => string }>();
  return { ...real, bundlePath: () => (changed.agent === "" ? real.bundlePath() : changed.agent) };
});

let rig: Rig;
let home: TestHome;
let index: PackageIndex;
let host: Host;
/** What the start that may fail has opened so far. */
const closing: (() => Promise<void>)[] = [];

needsRoot(
  async () => {
    home = await makeTestHome();
    closing.push(() => home.remove());
    rig = await openRig({ environment: false });
    closing.push(() => rig.remove());
    const folder = join(home.home, "packages");
    await mkdir(folder);
    const script = new URL("../fixtures/tiny-packages.py", import.meta.url).pathname;
    await execa((await requirePython()).path, [script, folder]);
    const files: Record<string, Buffer> = {};
    for (const name of await readdir(folder)) files[name] = await readFile(join(folder, name));
    index = await packageIndex(files, { elsewhere: { uv: `${packageSources().index}uv/` } });
    closing.push(() => index.close());
    const pin = (requirement: string, name: string): string =>
      `${requirement} --hash=sha256:${sha256Of(files[name] ?? "")}\n`;
    changed.texts["agent/environment/base.lock"] = [
      pin("llamafactory==1.0", "llamafactory-1.0-py3-none-any.whl"),
      pin("old==0.1", "old-0.1.tar.gz"),
      pin("tiny-builder==1.0", "tiny_builder-1.0-py3-none-any.whl"),
      pin("transformers==1.0", "transformers-1.0-py3-none-any.whl"),
      pin("never==1.0 ; sys_platform == 'win32'", "old-0.1.tar.gz"),
    ].join("");
    changed.texts["agent/environment/torch.lock"] =
      pin("torch==9.0", "torch-9.0-py3-none-any.whl") + pin("torchaudio==9.0", "torchaudio-9.0-py3-none-any.whl");
    const agent = join(home.home, "agent.mjs");
    await agentWith(changed.texts, agent);
    changed.agent = agent;
    for (const [name, value] of Object.entries(rig.environment)) vi.stubEnv(name, value);
    vi.stubEnv("TUNEUP_HOME", home.home);
    vi.stubEnv("TUNEUP_SSH_ALIVE_S", "1");
    host = await connect({ kind: "ssh", address: rig.alias, dataDirectory: rig.data, offline: true });
    closing.push(() => host.close());
    // Node and the agent are there: what goes over the wire from now on is the environment.
    await host.run("run-list", { experiment: "none" });
  },
  async () => {
    for (const close of closing.toReversed()) await close();
  },
);
afterAll(() => vi.unstubAllEnvs());

const push = () =>
  pushEnvironment({ device: "auto" }, { host, options: {} }, { index: index.index, torch: index.builds, isFlat: true });

const here = () => readdir(join(home.home, "cache/wheels"));

test("a cut in the middle of the packages costs what was on the wire, and the environment is made of them alone", async () => {
  const before = await rig.wire.sent();
  // uv has 17 MB: two seconds.
  await rig.wire.slow(64_000);
  const pushing = push();
  // Whatever ends it early is what the test fails by.
  await Promise.race([pushing, until(async () => (await rig.wire.sent()) - before > 5_000_000)]);
  await rig.wire.cut();
  await until(async () => (await rig.wire.dropped()) > 3);
  await rig.wire.heal();
  const { path, record, created } = await pushing;
  expect({ created, device: record.device, torch: record.torch, source: record.torchSource }).toEqual({
    ...{ created: true, device: "cpu", torch: "9.0+cpu", source: "cpu" },
  });
  const said = await rig.ssh(`${path}/bin/python -c 'import old, torch; print(old.built, torch.__version__)'`);
  expect(said).toBe("True 9.0+cpu");
  const [folder = ""] = await here();
  const bytes = await Promise.all(
    (await readdir(join(home.home, "cache/wheels", folder))).map(
      async (name) => (await stat(join(home.home, "cache/wheels", folder, name))).size,
    ),
  );
  const sent = (await rig.wire.sent()) - before;
  const whole = bytes.reduce((sum, size) => sum + size, 0);
  expect(sent).toBeGreaterThan(whole);
  expect(sent).toBeLessThan(whole * 1.4);
});

test("nothing of the packages is left on the host, in the data directory or beside it", async () => {
  expect(await readdir(join(rig.data, "wheels"))).toEqual([]);
  expect(existsSync(join(rig.home, ".cache"))).toBe(false);
  expect(await readdir(join(rig.data, "env"))).toHaveLength(1);
  expect((await rig.processes()).filter(({ words }) => !words.startsWith("sshd:"))).toEqual([]);
});

test("an environment that is gone is made again without asking the index", async () => {
  await rig.ssh(`rm -r ${rig.data}/env`);
  const asked = index.asked.length;
  expect((await push()).created).toBe(true);
  expect(index.asked).toHaveLength(asked);
});

test("packages that are not the lock's are refused by the host, though they arrived as they were sent", async () => {
  await rig.ssh(`rm -r ${rig.data}/env`);
  const before = changed.texts["agent/environment/base.lock"] ?? "";
  const [folder = ""] = await here();
  const { files } = JSON.parse(await readFile(join(home.home, "cache/wheels", folder, ".complete"), "utf8")) as {
    files: { path: string; bytes: number; sha256: string }[];
  };
  // The host's agent is another one, whose lock admits no file that this machine has.
  const agent = join(home.home, "stricter.mjs");
  const stricter = before.replace(/(llamafactory==1\.0 --hash=sha256:)[0-9a-f]{64}/, `$1${"0".repeat(64)}`);
  await agentWith({ "agent/environment/base.lock": stricter }, agent);
  const there = `${rig.data}/wheels/${folder}`;
  await host.push({ here: join(home.home, "cache/wheels", folder), there, files });
  const installed = join(rig.data, "agent", (await readdir(join(rig.data, "agent")))[0] ?? "", "agent.mjs");
  await execa("cp", [agent, installed]);
  await rig.give(installed);
  await expect(host.run("environment-ensure", { device: "cpu", wheels: there })).rejects.toMatchObject({
    code: "install-failed",
    message: expect.stringMatching(/[Hh]ash/) as string,
  });
  expect(await readdir(join(rig.data, "env"))).toEqual([]);
});
