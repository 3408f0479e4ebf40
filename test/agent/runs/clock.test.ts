import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runRead } from "../../../agent/runs/commands.ts";
import { runMetric } from "../../../recipe/lifecycle.ts";
import { collect, kill, linesOf, makeHost, until } from "./harness.ts";

const shim = fileURLToPath(new URL("./shifted-clock.mjs", import.meta.url));
const hour = 3_600_000;

/** Supervisor and trainer see their clock jump in the middle of the training; who waits for them does not. */
test.each([hour, -hour])("a clock that jumps by %d ms is no silence, no death and no gap", async (jump) => {
  const host = makeHost(
    { TUNEUP_RUN_BEAT_MS: "100", TUNEUP_RUN_STALE_MS: "5000", TUNEUP_RUN_STALL_MS: "60000" },
    undefined,
    ["--import", shim],
  );
  const shift = `${host.dataDirectory}/shift`;
  process.env["TUNEUP_TEST_SHIFT"] = shift;
  try {
    host.plan({ steps: 8, hold: 4 });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    const context = collect();
    const waiting = host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, context);
    await host.held();
    const supervisor = await host.supervisorPid();
    writeFileSync(shift, String(jump));
    host.release();
    const { status, manifest } = await waiting;
    expect(status).toMatchObject({ state: "complete", attempt: 1 });
    expect(Math.abs(Date.parse(manifest.completedAt) - Date.now())).toBeGreaterThan(hour / 2);
    expect(context.logged).toEqual([]);
    expect(await host.supervisorPid()).toBe(supervisor);
    expect(linesOf<{ step: number }>(host.paths().metrics).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  } finally {
    delete process.env["TUNEUP_TEST_SHIFT"];
    await host.clean();
  }
});

test("a run whose supervisor was killed just before the clock was set back is seen as interrupted at once", async () => {
  const host = makeHost();
  try {
    host.plan({ steps: 8, hold: 4 });
    await host.runDeclare({ dataDirectory: host.dataDirectory, spec: host.spec() }, collect());
    await host.held();
    await kill(await host.supervisorPid());
    const { status } = host.paths();
    const read = async () => (await runRead({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect()))?.status;
    const record = await read();
    const ahead = new Date(Date.now() + hour).toISOString();
    // Also one that was only declared: nobody's process id is in it.
    writeFileSync(status, JSON.stringify({ ...record, state: "queued", supervisorPid: undefined, updatedAt: ahead }));
    await until(async () => (await read())?.state === "interrupted");
    host.release();
    const waited = host.runWait({ dataDirectory: host.dataDirectory, run: "mine-1" }, collect());
    expect((await waited).status.state).toBe("complete");
    for (const line of linesOf(host.paths().metrics)) runMetric.parse(line);
  } finally {
    await host.clean();
  }
});
