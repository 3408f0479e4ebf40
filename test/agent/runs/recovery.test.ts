import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isLocked } from "../../../agent/lock.ts";
import { runCurve, runRead } from "../../../agent/runs/commands.ts";
import { runManifest, runStatus } from "../../../recipe/lifecycle.ts";
import { collect, kill, makeHost, until } from "./harness.ts";

let host: ReturnType<typeof makeHost>;
beforeEach(() => {
  host = makeHost();
});
afterEach(() => host.clean());

const run = "mine-1";

async function declare(more = {}, name = run) {
  const { status } = await host.runDeclare(
    { dataDirectory: host.dataDirectory, spec: host.spec(name, more) },
    collect(),
  );
  return status;
}
const wait = (context = collect(), name = run) =>
  host.runWait({ dataDirectory: host.dataDirectory, run: name }, context);
const read = (name = run) => runRead({ dataDirectory: host.dataDirectory, run: name }, collect());
const ended = (name = run) => until(() => !isLocked(host.paths(name).lock));

describe("after a SIGKILL", () => {
  test("of the trainer the run goes on from its newest complete checkpoint", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    await until(async () => (await read())?.status.step === 5);
    await kill(await host.trainerPid());
    host.release();
    const { status, manifest } = await wait();
    expect(status.attempt).toBe(2);
    expect(manifest.attempts).toBe(2);
    const events = host.events();
    expect(events.find(({ kind }) => kind === "retry")?.message).toContain("SIGKILL");
    expect(events.findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 4");
    const { metrics } = await runCurve({ dataDirectory: host.dataDirectory, run }, collect());
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("of the supervisor the trainer saves and ends, and who waits starts another", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    const context = collect();
    const waiting = wait(context);
    await kill(await host.supervisorPid());
    await until(() => !isLocked(host.paths().trainerLock));
    host.release();
    const { status } = await waiting;
    expect(status.state).toBe("complete");
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 5");
    expect(context.logged.join()).toContain("had no supervisor");
  });

  test("of both the run is interrupted until it is declared again", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    const trainer = await host.trainerPid();
    await kill(await host.supervisorPid());
    await kill(trainer).catch(() => undefined);
    // The kernel drops the lock with the process's last thread, a moment after its first.
    await until(async () => (await read())?.status.state === "interrupted");
    host.release();
    await declare();
    expect((await wait()).status.state).toBe("complete");
  });

  test("of the supervisor just before the manifest, nothing is trained again", async () => {
    host.plan({ steps: 4 });
    await declare();
    await wait();
    await ended();
    rmSync(host.paths().manifest);
    writeFileSync(host.paths().status, readFileSync(host.paths().status, "utf8").replace('"complete"', '"saving"'));
    await declare();
    const { status } = await wait();
    expect(status.attempt).toBe(1);
    expect(host.events().filter(({ kind }) => kind === "attempt")).toHaveLength(1);
  });

  test("a checkpoint without its marker, or shorter than it says, is set aside", async () => {
    host.plan({ steps: 8, hold: 6 });
    await declare();
    await host.held();
    const { output, torn } = host.paths();
    rmSync(`${output}/checkpoint-6/.tuneup-complete`);
    truncateSync(`${output}/checkpoint-4/adapter_config.json`, 1);
    await kill(await host.trainerPid());
    host.release();
    await until(() => host.events().filter(({ kind }) => kind === "attempt").length === 2);
    expect(readdirSync(torn)).toEqual(["checkpoint-6"]);
    await wait();
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 2");
  });
});

test("the newest checkpoint is read whole: one whose bytes differ is named and set aside", async () => {
  host.plan({ steps: 8, hold: 6 });
  await declare();
  await host.held();
  // As long as before, and other bytes: a size alone would not tell.
  writeFileSync(`${host.paths().output}/checkpoint-6/adapter_config.json`, "[]");
  await kill(await host.trainerPid());
  host.release();
  expect((await wait()).status.state).toBe("complete");
  const notes = host.events().filter(({ kind }) => kind === "note");
  expect(notes.map(({ message }) => message)).toContainEqual(
    expect.stringContaining("checkpoint-6 is not complete (adapter_config.json was changed)"),
  );
  expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 4");
});

describe("a checkpoint that can't be loaded", () => {
  const attempts = () => host.events().filter(({ kind }) => kind === "attempt");
  /** A run that is killed after step 6, and can't load what it saved at these steps. */
  async function killedAtSix(unloadable: readonly number[], largeCheckpoints: boolean) {
    host.plan({ steps: 8, hold: 6, holdAttempts: [1], unloadable, largeCheckpoints });
    await declare();
    await host.held();
    await kill(await host.trainerPid());
    return wait();
  }

  test("and was too large to be read whole is set aside, and the one before is taken", async () => {
    const { status } = await killedAtSix([6], true);
    expect(status).toMatchObject({ state: "complete", attempt: 3 });
    expect(attempts().map(({ message }) => message)).toEqual([
      "attempt 1, from the start",
      "attempt 2, from the checkpoint at step 6",
      "attempt 3, from the checkpoint at step 4",
    ]);
    const told = host.events().map(({ message }) => message);
    expect(told).toContain("checkpoint-6 can't be loaded: not used, moved to torn/");
    expect(told.join()).toContain("The checkpoint at step 6 could not be loaded, and is set aside. Training failed");
  });

  test("nor the one before is not the checkpoints' fault: no third one is given up", async () => {
    await expect(killedAtSix([6, 4], true)).rejects.toMatchObject({ code: "training-failed" });
    expect(attempts()).toHaveLength(3);
    expect(readdirSync(host.paths().torn)).toEqual(["checkpoint-6"]);
    expect(readdirSync(host.paths().output)).toContain("checkpoint-4");
  });

  test("although its bytes are right is not set aside", async () => {
    await expect(killedAtSix([6], false)).rejects.toMatchObject({ code: "training-failed" });
    expect(readdirSync(host.paths().output)).toContain("checkpoint-6");
  });
});

describe("a torn record", () => {
  test.each(["", "{", '{"state":"flying"}'])("status.json of %j is rebuilt while the run trains", async (text) => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    await until(async () => (await read())?.status.step === 5);
    writeFileSync(host.paths().status, text);
    expect((await read())?.status).toMatchObject({ state: "training", attempt: 1, step: 5 });
    host.release();
    expect((await wait()).status).toMatchObject({ state: "complete", attempt: 1 });
    runStatus.parse(JSON.parse(readFileSync(host.paths().status, "utf8")));
  });

  test("of a complete run is rebuilt from its manifest, of a failed one from its events", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    writeFileSync(host.paths().status, "");
    expect((await read())?.status).toMatchObject({ state: "complete", step: 2 });
    host.plan({ troubles: [{ step: 1, fault: { type: "KeyError", message: "'output'" } }] }, "mine-2");
    await declare({}, "mine-2");
    await expect(wait(collect(), "mine-2")).rejects.toMatchObject({ code: "training-failed" });
    writeFileSync(host.paths("mine-2").status, "");
    expect((await read("mine-2"))?.status).toMatchObject({ state: "failed", attempt: 1 });
    expect((await read("mine-2"))?.status.fault?.message).toContain("'output'");
  });

  test("a manifest that is torn is written again, without training", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    await ended();
    writeFileSync(host.paths().manifest, '{"schemaVersion":1,');
    expect((await read())?.status.state).toBe("interrupted");
    await declare();
    await wait();
    runManifest.parse(JSON.parse(readFileSync(host.paths().manifest, "utf8")));
    expect(host.events().filter(({ kind }) => kind === "attempt")).toHaveLength(1);
  });
});

describe("damaged artifacts", () => {
  test("are seen, and made again from the last checkpoint", async () => {
    host.plan({ steps: 4 });
    await declare();
    await wait();
    await ended();
    expect((await read())?.damage).toBeUndefined();
    const adapter = `${host.paths().output}/adapter_model.safetensors`;
    const whole = readFileSync(adapter);
    rmSync(adapter);
    expect((await read())?.damage).toContain("adapter_model.safetensors is missing");
    writeFileSync(adapter, Buffer.from(whole).fill(0, whole.length - 1));
    expect((await read())?.damage).toContain("adapter_model.safetensors was changed");
    await declare();
    const { status } = await wait();
    expect(status.attempt).toBe(2);
    expect((await read())?.damage).toBeUndefined();
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 4");
  });

  test("a file that was only touched is hashed once and is no damage", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    const config = `${host.paths().output}/adapter_config.json`;
    writeFileSync(config, readFileSync(config));
    expect((await read())?.damage).toBeUndefined();
    const seen = JSON.parse(readFileSync(host.paths().seen, "utf8")) as Record<string, { mtimeMs: number }>;
    expect(seen["adapter_config.json"]?.mtimeMs).toBe(statSync(config).mtimeMs);
  });

  test("a torn result of the trainer is not taken for complete", async () => {
    host.plan({ steps: 4, tornResults: [1] });
    await declare();
    const { status } = await wait();
    expect(status.attempt).toBe(2);
    expect(host.events().some(({ message }) => message.includes("adapter_model.safetensors"))).toBe(true);
  });
});
