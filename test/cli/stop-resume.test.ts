import { expect, test } from "vitest";
import { resumeNewest } from "../../cli/commands/resume.ts";
import { stopNewest } from "../../cli/commands/stop.ts";
import type { RunState, RunStatus } from "../../recipe/lifecycle.ts";
import type { CommandName } from "../../recipe/protocol.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const { signal } = new AbortController();

function statusOf(state: RunState, more: Partial<RunStatus> = {}): RunStatus {
  const times = { declaredAt: "2026-01-01T00:00:00Z", updatedAt: "2026-01-01T00:00:00Z" };
  return { schemaVersion: 1, run: "mine-1", state, attempt: 1, step: 5, totalSteps: 8, ...times, ...more };
}

/** A host whose newest run is as `states` say, one after the other; the last one stays. */
function hostWith(states: RunStatus[], answers: Partial<Record<CommandName, unknown>> = {}) {
  const asked: { command: CommandName; input: unknown }[] = [];
  const host = fakeHost("/data", (command, input) => {
    asked.push({ command, input });
    if (command in answers) return answers[command];
    if (command === "run-list") return states.slice(0, 1);
    if (command === "run-read") {
      return { status: states.length > 1 ? states.shift() : states[0], spec: { run: "mine-1" }, manifest: null };
    }
    return {};
  });
  return { host, asked: (name: CommandName) => asked.filter(({ command }) => command === name) };
}

test("stop ends the newest run that is not over and says after which step", async () => {
  const { host, asked } = hostWith([statusOf("training")], { "run-stop": { status: statusOf("stopped") } });
  expect(await stopNewest(host, "mine", signal)).toBe(
    "mine-1 is stopped after step 5 of 8; its checkpoint is saved. Go on: npx tuneup resume mine",
  );
  expect(asked("run-stop").map(({ input }) => input)).toEqual([{ run: "mine-1" }]);
});

test.each([
  ["complete", "complete"],
  ["failed", "failed already"],
  ["stopped", "stopped already"],
] as const)("stop leaves a run that is %s", async (state, told) => {
  const { host, asked } = hostWith([statusOf(state)]);
  expect(await stopNewest(host, "mine", signal)).toBe(`Nothing to stop: mine-1 is ${told}.`);
  expect(asked("run-stop")).toEqual([]);
});

test("stop of a run that comes to its end meanwhile says so", async () => {
  const { host } = hostWith([statusOf("saving")], { "run-stop": { status: statusOf("complete") } });
  expect(await stopNewest(host, "mine", signal)).toBe("Nothing to stop: mine-1 is complete.");
});

test("both say that there is no run", async () => {
  for (const act of [stopNewest, resumeNewest]) {
    await expect(act(hostWith([]).host, "mine", signal)).rejects.toMatchObject({ code: "run-none" });
  }
});

test.each(["stopped", "failed", "interrupted"] as const)("resume goes on with a run that is %s", async (state) => {
  const events = [
    { at: "", kind: "attempt", message: "attempt 1, from the start" },
    { at: "", kind: "attempt", message: "attempt 2, from the checkpoint at step 5" },
  ];
  const again = statusOf("training", { attempt: 2, step: 6 });
  const { host, asked } = hostWith([statusOf(state), statusOf("queued"), again], {
    "run-curve": { metrics: [], events },
  });
  expect(await resumeNewest(host, "mine", signal)).toContain("mine-1 goes on from step 5.");
  expect(asked("run-declare").map(({ input }) => input)).toEqual([{ spec: { run: "mine-1" } }]);
});

test("resume of a run without a checkpoint says that it begins anew", async () => {
  const events = [{ at: "", kind: "attempt", message: "attempt 2, from the start" }];
  const { host } = hostWith([statusOf("failed"), statusOf("training", { attempt: 2, step: 0 })], {
    "run-curve": { metrics: [], events },
  });
  expect(await resumeNewest(host, "mine", signal)).toContain("goes on from step 0.");
});

test("resume of a complete run, of one that goes on, and of one that has to wait says so", async () => {
  const complete = hostWith([statusOf("complete")]);
  expect(await resumeNewest(complete.host, "mine", signal)).toContain("is complete: nothing is left to train");
  expect(complete.asked("run-declare")).toEqual([]);
  const alive = hostWith([statusOf("training")]);
  expect(await resumeNewest(alive.host, "mine", signal)).toContain("goes on already");
  expect(alive.asked("run-declare")).toEqual([]);
  const waits = statusOf("queued", { detail: "waits for other-1 to end on this host" });
  expect(await resumeNewest(hostWith([statusOf("stopped"), waits]).host, "mine", signal)).toContain(
    "waits for another training",
  );
});

test("resume tells the fault of a run that fails at once", async () => {
  const fault = { code: "environment-broken", message: "No Python.", blame: "user" as const };
  const { host } = hostWith([statusOf("stopped"), statusOf("failed", { fault })]);
  await expect(resumeNewest(host, "mine", signal)).rejects.toMatchObject(fault);
});
