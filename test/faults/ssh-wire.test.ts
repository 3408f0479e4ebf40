import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { isAlive } from "../../agent/processes.ts";
import { linesOf, until } from "../agent/runs/harness.ts";
import { expectNoStepLost, expectSentence, expectSound } from "./soundness.ts";
import { needsRoot } from "./ssh/needs-root.ts";
import { openSshStage, type SshStage } from "./ssh/stage.ts";
import { type Cli, reportsOf, statusOf } from "./stage.ts";

/** One run on a host behind a wire that all of this happens to, one after the other. */
const name = "tiny";
const steps = 400;
let stage: SshStage;
let up: Cli;

needsRoot(
  async () => {
    // An agent whose caller fell silent ends after 10 s instead of 45; callers speak every 5 s.
    stage = await openSshStage({ rig: { variables: { TUNEUP_LIFELINE_MS: "10000" } } });
    await stage.write(name, steps);
  },
  () => stage.remove(),
);

const stepsOf = async (): Promise<number> =>
  stage.run(name).then(
    (paths) => Math.max(0, ...reportsOf(paths).map(({ step = 0 }) => step)),
    () => 0,
  );

async function attempts(): Promise<string[]> {
  const events = linesOf<{ kind: string; message: string }>((await stage.run(name)).events);
  return events.filter(({ kind }) => kind === "attempt").map(({ message }) => message);
}

/** Commands of the agent on the host that somebody here listens to. */
const listenedTo = async () => (await stage.rig.processes()).filter(({ words }) => words.includes("--lifeline"));

/** The host's sshd notices a moment after a command has ended that its connection is closed. */
const untilNothingRuns = () => until(async () => (await stage.rig.processes()).length === 0);

/** Cuts the wire and keeps it cut until every connection over it has been given up. */
async function cutUntilLost(): Promise<void> {
  const connected = await stage.rig.clients();
  expect(connected).not.toEqual([]);
  await stage.rig.wire.cut();
  await until(async () => {
    const now = (await stage.rig.clients()).map(({ pid }) => pid);
    return !connected.some(({ pid }) => now.includes(pid));
  });
  expect(await stage.rig.wire.dropped()).toBeGreaterThan(0);
}

test("another host key stops with its fingerprint and the way to accept it, and a refused key with the way in", async () => {
  const { server, files } = stage.rig;
  const known = await readFile(files.knownHosts, "utf8");
  await writeFile(files.knownHosts, "");
  const fingerprint = await server.fingerprint();
  expectSentence(await stage.tuneup("status", name), /is not in known_hosts/, fingerprint, /ssh my-gpu true/);
  await writeFile(files.knownHosts, known);
  const changed = await server.changeHostKey();
  expect(changed).not.toBe(fingerprint);
  expectSentence(await stage.tuneup("up", name), /another host key/, changed, /ssh-keygen -R /);

  await server.acceptHostKey();
  await server.refuseKey();
  expectSentence(await stage.tuneup("status", name), /my-gpu lets none of your keys in: .*Permission denied/);
  await server.acceptKey();
  await untilNothingRuns();
  expect(existsSync(join(stage.data, "runs"))).toBe(false);
});

test("a wire that is cut while things are brought to the host: the same up goes on", async () => {
  const before = await stage.rig.wire.sent();
  await stage.rig.wire.slow(50_000);
  up = stage.start("up", name);
  await until(async () => (await stage.rig.wire.sent()) - before > 4_000_000 || up.over());
  expect(up.over(), up.said()).toBe(false);
  await cutUntilLost();
  // It has not arrived: the cut was in the middle.
  expect(existsSync(join(stage.data, "tools/node-24/bin/node"))).toBe(false);
  await stage.rig.wire.heal();
  await until(async () => (await stepsOf()) > 0 || up.over());
  expect(up.over(), up.said()).toBe(false);
});

test("a wire that is cut while it trains pauses nothing, and what follows goes on when it is back", async () => {
  const logs = stage.start("logs", "-f", name);
  await until(() => logs.said().includes("'loss'") || logs.over());
  expect(logs.over(), logs.said()).toBe(false);
  const [before, agents] = [await stepsOf(), (await listenedTo()).map(({ pid }) => pid)];
  expect(agents).not.toEqual([]);
  await cutUntilLost();
  // Longer than the host's own patience with us: nobody is left there who was listened to.
  await until(() => !agents.some(isAlive));
  const during = await stepsOf();
  expect(during).toBeGreaterThan(before);
  const [said, start] = [logs.said().length, performance.now()];
  await stage.rig.wire.heal();
  await until(() => logs.said().length > said || logs.over());
  console.log(`Progress was back ${((performance.now() - start) / 1000).toFixed(1)} s after the wire.`);
  expect(logs.over()).toBe(false);
  expect(up.over(), up.said()).toBe(false);
  expect(await attempts()).toHaveLength(1);
  logs.interrupt();
  await logs.ended;
});

test("stop saves and ends the run over ssh, and resume goes on from there without Pulumi", async () => {
  up.interrupt();
  expect((await up.ended).code).toBe(130);
  const stopped = await stage.tuneup("stop", name);
  expect(stopped.code, stopped.said).toBe(0);
  const paths = await stage.run(name);
  const { state, step = 0 } = (await statusOf(paths)) ?? {};
  expect(state).toBe("stopped");
  expect(stopped.said).toContain(`is stopped after step ${step} of ${steps}; its checkpoint is saved.`);
  expect(existsSync(`${paths.output}/checkpoint-${step}`)).toBe(true);
  await untilNothingRuns();

  const resumed = await stage.tuneup("resume", name);
  expect(resumed.code, resumed.said).toBe(0);
  expect(resumed.said).toContain(`goes on from step ${step}.`);
  expect(await attempts()).toEqual([expect.anything(), `attempt 2, from the checkpoint at step ${step}`]);
  await until(async () => (await stepsOf()) > step);
});

test("destroy in the middle of a run leaves the data directory and nothing else", async () => {
  expect(await stage.rig.processes()).not.toEqual([]);
  const { code, said } = await stage.pulumi("destroy", "--yes", "--stack", name);
  expect(code, said).toBe(0);
  const stopped = await statusOf(await stage.run(name));
  expect(stopped?.state).toBe("stopped");
  expect(stopped?.step).toBeLessThan(steps);
  await until(async () => (await stage.rig.wire.connections()) === 0);
  await untilNothingRuns();
  expect(await stage.rig.clients()).toEqual([]);
  expect(await stage.rig.listening()).toEqual([]);
  expect(await stage.rig.ssh("ls -A; ls -A /tmp")).toBe(".local");
});

test("a wire that is cut while the artifact comes back: the same up goes on, and it is whole", async () => {
  const earlier = (await attempts()).length;
  up = stage.start("up", name);
  await until(async () => (await stepsOf()) >= steps - 10 || up.over());
  await stage.rig.wire.slow(2000);
  const { manifest, directory } = await stage.run(name);
  await until(() => existsSync(manifest) || up.over());
  const folder = join(stage.home, "artifacts", name, basename(directory));
  const begun = await stage.rig.wire.received();
  await until(async () => (await stage.rig.wire.received()) - begun > 300_000 || up.over());
  expect(up.over(), up.said()).toBe(false);
  await cutUntilLost();
  expect(existsSync(join(folder, "manifest.json"))).toBe(false);
  await stage.rig.wire.heal();
  const { code, said } = await up.ended;
  expect(code, said).toBe(0);
  await expectSound(stage, name);
  await expectNoStepLost(stage, name);
  expect(await attempts()).toHaveLength(earlier + 1);
});
