import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, statSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeJson } from "../../../agent/files.ts";
import { isLocked } from "../../../agent/lock.ts";
import { childEnvironment, isAlive } from "../../../agent/processes.ts";
import { runRead } from "../../../agent/runs/commands.ts";
import { issueToken } from "../../../agent/runs/fence.ts";
import { PodLog } from "../../../agent/runs/pod-log.ts";
import { pidIn } from "../../../agent/runs/signals.ts";
import type { RunSpec } from "../../../recipe/protocol.ts";
import { collect, linesOf, makeHost, until } from "./harness.ts";

const script = fileURLToPath(new URL("./fake-pod.ts", import.meta.url));
const run = "mine-1";
let host: ReturnType<typeof makeHost>;
let pods: ChildProcess[];
beforeEach(() => {
  host = makeHost();
  pods = [];
});
afterEach(async () => {
  for (const pod of pods) if (isAlive(pod.pid ?? NaN)) pod.kill("SIGKILL");
  await until(() => !isLocked(host.paths().lock) && !isLocked(host.paths().trainerLock));
  await host.clean();
});

/** A trainer Pod: its process, what it says, and its exit code. */
function startPod(environment: Readonly<Record<string, string>> = {}) {
  const pod = spawn(process.execPath, [script, host.dataDirectory, run], {
    stdio: ["ignore", "pipe", "pipe"],
    env: childEnvironment({ TUNEUP_RUN_BACKOFF_MS: "10", TUNEUP_RUN_STOP_GRACE_MS: "3000", ...environment }),
  });
  pods.push(pod);
  const said = text(pod.stdout);
  const code = once(pod, "exit").then(([exitCode]) => exitCode as number | null);
  return { pod, said, code };
}

const declare = async (more: Partial<RunSpec> = {}) => {
  const spec = host.spec(run, { supervisor: "pod", ...more });
  return (await host.runDeclare({ dataDirectory: host.dataDirectory, spec }, collect())).status;
};
const read = async () => (await runRead({ dataDirectory: host.dataDirectory, run }, collect()))?.status;
const wait = (context = collect()) => host.runWait({ dataDirectory: host.dataDirectory, run }, context);
const stop = (context = collect()) => host.runStop({ dataDirectory: host.dataDirectory, run }, context);

describe("a run in a Pod", () => {
  test("is only declared, and stays queued for as long as its Pod takes", async () => {
    host.plan({});
    expect(await declare()).toMatchObject({ state: "queued", detail: "its Pod starts" });
    expect(host.started).toEqual([]);
    const path = host.paths().status;
    const status = JSON.parse(readFileSync(path, "utf8")) as object;
    await writeJson(path, { ...status, updatedAt: "2020-01-01T00:00:00.000Z" });
    expect((await read())?.state).toBe("queued");
    const abort = new AbortController();
    const context = collect(abort.signal);
    const waiting = wait(context);
    await until(() => context.said.includes("queued: its Pod starts"));
    abort.abort();
    await expect(waiting).rejects.toThrow();
    expect(host.started).toEqual([]);
    expect((await declare()).state).toBe("queued");
  });

  test("is trained by its Pod, which says so and ends with 0; no process ids are recorded, and no lease is taken", async () => {
    host.plan({ steps: 6, hold: 3 });
    await declare();
    const { said, code } = startPod();
    await host.held();
    await until(async () => (await read())?.step === 3);
    const status = await read();
    expect(status).toMatchObject({ state: "training", attempt: 1 });
    expect([status?.supervisorPid, status?.trainerPid]).toEqual([undefined, undefined]);
    expect(await pidIn(host.paths().supervisorPid)).toBeUndefined();
    expect(isLocked(`${host.layout.locks}/trainer-lease`)).toBe(false);
    expect((await declare()).state).toBe("training");
    const waiting = wait();
    host.release();
    expect((await waiting).status).toMatchObject({ state: "complete", step: 6 });
    expect(await code).toBe(0);
    const lines = (await said).trim().split("\n");
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\S+ queued: its Pod has started$/);
    expect(lines.at(-1)).toContain("complete: all 6 steps are done");
    expect(lines.length).toBeLessThan(7);
    expect(host.started).toEqual([]);
  });

  test("that is complete makes a Pod end with 0 at once, and a damaged result is made again", async () => {
    host.plan({ steps: 2 });
    await declare();
    expect(await startPod().code).toBe(0);
    const again = startPod();
    expect(await again.code).toBe(0);
    expect(await again.said).toContain("it is not trained again");
    expect(linesOf<{ kind: string }>(host.paths().reports).filter(({ kind }) => kind === "start")).toHaveLength(1);
    rmSync(`${host.paths().output}/adapter_model.safetensors`);
    expect((await declare()).state).toBe("queued");
    expect(await startPod().code).toBe(0);
    expect(await read()).toMatchObject({ state: "complete", attempt: 2 });
  });

  test("that fails by the user's fault ends its Pod with 42, and run-wait with the fault", async () => {
    host.plan({ troubles: [{ step: 3, fault: { type: "ValueError", message: "no such column" } }] });
    await declare();
    expect(await startPod().code).toBe(42);
    const status = await read();
    expect(status).toMatchObject({ state: "failed", fault: { code: "training-failed", blame: "user" } });
    expect(status?.nextPod).toBeUndefined();
    await expect(wait()).rejects.toMatchObject({ code: "training-failed" });
  });

  test("that fails by other causes ends its Pod with 1 after its attempts; run-wait goes on, and the next Pod with it", async () => {
    host.plan({ steps: 6, troubles: [{ attempts: [1, 2, 3, 4, 5], step: 4, kill: true }] });
    await declare();
    expect(await startPod().code).toBe(1);
    const status = await read();
    expect(status).toMatchObject({ state: "failed", attempt: 5, nextPod: true, fault: { code: "trainer-killed" } });
    const context = collect();
    const waiting = wait(context);
    await until(() => context.said.some((message) => /^failed, its next Pod tries again: /.test(message)));
    expect(await startPod().code).toBe(0);
    expect((await waiting).status).toMatchObject({ state: "complete", attempt: 6 });
    expect((await read())?.nextPod).toBeUndefined();
  });

  test("whose Pods are several at once gets one attempt each, and the cluster all others", async () => {
    const trouble = { type: "RuntimeError", message: "something odd" };
    host.plan({ troubles: [{ step: 3, fault: trouble }] });
    await declare({ processes: { nodes: 2, perNode: 1 } });
    expect(await startPod().code).toBe(1);
    expect((await read())?.state).toBe("queued");
    const place = { PET_NNODES: "2", PET_NODE_RANK: "0", PET_MASTER_ADDR: "127.0.0.1", PET_MASTER_PORT: "29400" };
    expect(await startPod(place).code).toBe(1);
    expect(await read()).toMatchObject({ state: "failed", attempt: 1, nextPod: true });
    // The same again: another one would not help.
    expect(await startPod(place).code).toBe(42);
    expect(await read()).toMatchObject({ state: "failed", attempt: 2 });
  });

  test("whose Pod is ended saves a checkpoint, ends with 143, and the next Pod goes on", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    const first = startPod();
    await host.held();
    first.pod.kill("SIGTERM");
    expect(await first.code).toBe(143);
    expect(await read()).toMatchObject({
      state: "stopped",
      step: 5,
      nextPod: true,
      detail: "stopped after step 5 of 8: its Pod was ended; the next one goes on from its checkpoint",
    });
    const context = collect();
    const waiting = wait(context);
    await until(() => context.said.some((message) => message.startsWith("stopped")));
    host.release();
    expect(await startPod().code).toBe(0);
    expect((await waiting).status).toMatchObject({ state: "complete", attempt: 2 });
    expect(host.events().findLast(({ kind }) => kind === "attempt")?.message).toContain("checkpoint at step 5");
  });

  test("whose Pod is killed is interrupted at once, and goes on with the next Pod", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    const first = startPod();
    await host.held();
    first.pod.kill("SIGKILL");
    await first.code;
    await until(() => !isLocked(host.paths().lock));
    expect(await read()).toMatchObject({ state: "interrupted", detail: "waits for its next Pod" });
    const waiting = wait();
    host.release();
    expect(await startPod().code).toBe(0);
    expect((await waiting).status.state).toBe("complete");
    expect(host.started).toEqual([]);
  });
});

/** Until a Pod has found that another one works on the run. */
async function untilItWaits({ pod }: ReturnType<typeof startPod>): Promise<void> {
  let told = "";
  pod.stdout.on("data", (chunk: Buffer) => (told += chunk.toString()));
  await until(() => told.includes("Another Pod works on this run"));
}

describe("two Pods of one run", () => {
  test("the second waits as long as the first lives, and then finds the run complete", async () => {
    host.plan({ steps: 4, hold: 2 });
    await declare();
    const first = startPod();
    await host.held();
    const second = startPod();
    await untilItWaits(second);
    host.release();
    expect(await Promise.all([first.code, second.code])).toEqual([0, 0]);
    expect(host.events().filter(({ kind }) => kind === "attempt")).toHaveLength(1);
  });

  test("the second goes on where the first was ended", async () => {
    host.plan({ steps: 8, hold: 5, holdAttempts: [1] });
    await declare();
    const first = startPod();
    await host.held();
    const second = startPod();
    first.pod.kill("SIGTERM");
    expect(await Promise.all([first.code, second.code])).toEqual([143, 0]);
    expect(await read()).toMatchObject({ state: "complete", attempt: 2 });
  });

  test("the second, ended while it waits, leaves the first alone", async () => {
    host.plan({ steps: 4, hold: 2 });
    await declare();
    const first = startPod();
    await host.held();
    const second = startPod();
    await untilItWaits(second);
    second.pod.kill("SIGTERM");
    expect(await second.code).toBe(143);
    expect((await read())?.state).toBe("training");
    host.release();
    expect(await first.code).toBe(0);
  });

  test("one that lost the lock with its node finds by the token that another came, and ends with 1", async () => {
    host.plan({ steps: 8, hold: 5, holdAttempts: [1] });
    await declare();
    const first = startPod({ TUNEUP_RUN_BEAT_MS: "50" });
    await host.held();
    await issueToken(host.paths());
    expect(await first.code).toBe(1);
    expect(await startPod().code).toBe(0);
  });
});

describe("stopping a run in a Pod", () => {
  test("waits until its Pod is gone, signals nobody, and is the last word", async () => {
    host.plan({ steps: 8, hold: 5 });
    await declare();
    const first = startPod();
    await host.held();
    const context = collect();
    const stopping = stop(context);
    await until(() => context.said.includes("stopping: its Pod saves a checkpoint first"));
    expect(isAlive(first.pod.pid ?? NaN)).toBe(true);
    first.pod.kill("SIGTERM");
    const { status } = await stopping;
    expect(status).toMatchObject({ state: "stopped", step: 5, detail: "stopped after step 5 of 8" });
    expect(status?.nextPod).toBeUndefined();
    await expect(wait()).rejects.toMatchObject({ code: "run-stopped" });
    expect(await declare()).toMatchObject({ state: "queued", step: 5 });
  });
});

describe("`work`", () => {
  test("of a run that nobody declared, or that is a host's, ends with 1 and a sentence", async () => {
    const unknown = startPod();
    expect(await unknown.code).toBe(1);
    expect(await unknown.said).toContain("No run mine-1 was declared");
    host.plan({ steps: 2 });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    const other = startPod();
    expect(await other.code).toBe(1);
    expect(await other.said).toContain("not for a Pod");
    await wait();
  });

  test("says a new state at once, and what happens in it each 10 s", () => {
    const lines: string[] = [];
    let now = 0;
    const log = new PodLog(
      (line) => lines.push(line.split(" ").slice(1).join(" ")),
      () => now,
    );
    const at = new Date().toISOString();
    const status = { schemaVersion: 1, run, attempt: 1, totalSteps: 9, declaredAt: at, updatedAt: at } as const;
    const step = (count: number) => log.take({ ...status, state: "training", step: count, secondsLeft: 9 });
    log.take({ ...status, state: "queued", step: 0 });
    step(1);
    now += 9999;
    step(2);
    now += 1;
    step(3);
    log.take({ ...status, state: "complete", step: 9 });
    expect(lines).toEqual(["queued", "step 1/9 · 0:09 left", "step 3/9 · 0:09 left", "complete"]);
  });

  test("leaves nothing that others may read", async () => {
    host.plan({ steps: 2 });
    await declare();
    await startPod().code;
    for (const name of ["status", "events", "log"] as const) expect(statSync(host.paths()[name]).mode & 0o077).toBe(0);
  });
});
