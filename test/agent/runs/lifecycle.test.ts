import { existsSync, readFileSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isLocked } from "../../../agent/lock.ts";
import { runCurve, runList, runRead, runStop } from "../../../agent/runs/commands.ts";
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
const stop = (name = run) => runStop({ dataDirectory: host.dataDirectory, run: name }, collect());
const ended = (name = run) => until(() => !isLocked(host.paths(name).lock));

describe("a run that nothing disturbs", () => {
  test("goes from declared to complete and leaves manifest, metrics and events", async () => {
    host.plan({ steps: 6 });
    expect((await declare()).state).toBe("queued");
    const context = collect();
    const { status, manifest } = await wait(context);
    expect(status).toMatchObject({ state: "complete", attempt: 1, step: 6, totalSteps: 6 });
    expect(manifest).toMatchObject({ attempts: 1, step: 6, totalSteps: 6, totalTokens: 600, finalLoss: 2 / 6 });
    expect(manifest.files.map(({ path }) => path)).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "trainer_log.jsonl",
    ]);
    const { metrics, events } = await runCurve({ dataDirectory: host.dataDirectory, run }, collect());
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["declared", "attempt", "checkpoint"]));
    expect(existsSync(host.paths().cache)).toBe(false);
  });

  test("is readable by its owner alone", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    const { log, status, events, metrics, manifest } = host.paths();
    for (const file of [log, status, events, metrics, manifest]) expect(statSync(file).mode & 0o077).toBe(0);
    await declare({ environment: "missing" }, "fresh-1");
    expect(statSync(host.paths("fresh-1").directory).mode & 0o077).toBe(0);
    await expect(wait(collect(), "fresh-1")).rejects.toMatchObject({ code: "environment-broken" });
  });

  test("is not trained again when it is declared again", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    await ended();
    const before = readFileSync(host.paths().events, "utf8");
    expect(await declare()).toMatchObject({
      state: "complete",
      detail: expect.stringContaining("not trained again") as string,
    });
    expect(host.started).toHaveLength(1);
    expect(readFileSync(host.paths().events, "utf8")).toBe(before);
  });

  test("gets one supervisor for any number of declarations at once", async () => {
    host.plan({ steps: 4, hold: 2 });
    await Promise.all([declare(), declare(), declare()]);
    await host.held();
    await declare();
    host.release();
    await wait();
    expect(host.events().filter(({ kind }) => kind === "attempt")).toHaveLength(1);
  });

  test("refuses other arguments under the same name, and takes other config", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    await expect(declare({ arguments: { learning_rate: 2e-3 } })).rejects.toMatchObject({ code: "run-differs" });
    expect((await declare({ config: { name: "Bob" } })).state).toBe("complete");
    expect((await read())?.spec.config).toEqual({ name: "Bob" });
  });

  test("is followed with step, loss, rate and time left", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    const context = collect();
    const waiting = wait(context);
    const line = /^step 5\/8 · loss 0\.400 · lr 1\.0e-3 · \d+ tokens\/s · 0:\d\d left$/;
    await until(() => context.said.some((message) => line.test(message)));
    host.release();
    await waiting;
  });
});

describe("waiting", () => {
  test("ends when it is aborted, and the run goes on", async () => {
    host.plan({ steps: 4, hold: 2 });
    await declare();
    const abort = new AbortController();
    const waiting = wait(collect(abort.signal));
    await host.held();
    abort.abort();
    await expect(waiting).rejects.toThrow();
    expect((await read())?.status.state).toBe("training");
    host.release();
    expect((await wait()).status.state).toBe("complete");
  });

  test("says that there is no such run", async () => {
    await expect(wait(collect(), "other-1")).rejects.toMatchObject({ code: "run-unknown" });
  });
});

describe("stopping", () => {
  test("says the step of its checkpoint, also where that step was too short to be reported", async () => {
    host.plan({ reportEvery: 3, hold: 5 });
    await declare();
    await host.held();
    expect((await stop()).status).toMatchObject({ state: "stopped", step: 5 });
  });

  test("saves a checkpoint, and the next declaration goes on from it", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    await host.held();
    const { status } = await stop();
    expect(status).toMatchObject({ state: "stopped", step: 5, detail: "stopped after step 5 of 8" });
    expect(status?.supervisorPid).toBeUndefined();
    await expect(wait()).rejects.toMatchObject({ code: "run-stopped" });
    expect((await stop()).status?.state).toBe("stopped");
    host.release();
    await declare();
    expect((await wait()).status).toMatchObject({ state: "complete", attempt: 2 });
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 5");
  });

  test("while it loads ends at once", async () => {
    host.plan({ holdLoading: true });
    await declare();
    await host.held();
    expect((await stop()).status).toMatchObject({ state: "stopped", step: 0 });
  });

  test("kills a trainer that does not listen", async () => {
    await host.clean();
    host = makeHost({ TUNEUP_RUN_STOP_GRACE_MS: "50" });
    host.plan({ hold: 3, deaf: true });
    await declare();
    await host.held();
    expect((await stop()).status?.state).toBe("stopped");
    expect(isLocked(host.paths().trainerLock)).toBe(false);
  });

  test("reaches a trainer whose supervisor is dead", async () => {
    host.plan({ hold: 3 });
    await declare();
    await host.held();
    await kill(await host.supervisorPid());
    expect((await stop()).status?.state).toBe("stopped");
    expect(isLocked(host.paths().trainerLock)).toBe(false);
  });

  test("leaves a complete run complete, and knows nothing of an unknown one", async () => {
    host.plan({ steps: 2 });
    await declare();
    await wait();
    expect((await stop()).status?.state).toBe("complete");
    expect((await stop("other-1")).status).toBeNull();
  });

  test("right after the declaration, before the supervisor is there, holds", async () => {
    host.plan({ steps: 2, holdLoading: true });
    await declare();
    expect((await stop()).status?.state).toBe("stopped");
    expect(isLocked(host.paths().trainerLock)).toBe(false);
    expect((await read())?.status.state).toBe("stopped");
  });
});

describe("two runs on one host", () => {
  test("train one after the other; who waits says for whom", async () => {
    host.plan({ steps: 4, hold: 2 });
    host.plan({ steps: 4 }, "other-1");
    await declare();
    await host.held();
    await declare({}, "other-1");
    await until(async () => (await read("other-1"))?.status.detail === "waits for mine-1 to end on this host");
    expect((await read("other-1"))?.status.state).toBe("queued");
    host.release();
    expect((await wait(collect(), "other-1")).status.state).toBe("complete");
    expect((await wait()).status.state).toBe("complete");
    const list = await runList({ dataDirectory: host.dataDirectory, experiment: "other" }, collect());
    expect(list.map((status) => status.run)).toEqual(["other-1"]);
  });

  test("a queued run can be stopped, and a killed holder gives way", async () => {
    host.plan({ steps: 4, hold: 2 });
    host.plan({ steps: 4 }, "other-1");
    await declare();
    await host.held();
    await declare({}, "other-1");
    await until(async () => (await read("other-1"))?.status.detail?.startsWith("waits for") === true);
    expect((await stop("other-1")).status?.state).toBe("stopped");
    await declare({}, "other-1");
    await kill(await host.supervisorPid());
    expect((await wait(collect(), "other-1")).status.state).toBe("complete");
  });
});
