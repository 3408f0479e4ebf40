import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { childEnvironment, isAlive } from "../../../agent/processes.ts";
import { until } from "../runs/harness.ts";
import { read, run, says, type TestHost, useBucket } from "./published.ts";

const s3 = useBucket();
const script = fileURLToPath(new URL("../runs/fake-pod.ts", import.meta.url));
const pods: ChildProcess[] = [];
afterEach(() => {
  for (const pod of pods.splice(0)) if (isAlive(pod.pid ?? NaN)) pod.kill("SIGKILL");
});

function startPod(on: TestHost) {
  const pod = spawn(process.execPath, [script, on.dataDirectory, run], {
    stdio: "ignore",
    env: childEnvironment({ TUNEUP_RUN_BACKOFF_MS: "10", TUNEUP_RUN_STOP_GRACE_MS: "3000" }),
  });
  pods.push(pod);
  return { pod, code: once(pod, "exit").then(([code]) => code as number | null) };
}

test("a Pod that is ended has published its checkpoint, and one on another volume goes on from it and publishes the rest", async () => {
  const [one, two] = [s3.host(), s3.host()];
  one.plan({ steps: 8, hold: 3, saveEvery: 8 });
  await s3.declare(one, { supervisor: "pod" });
  const first = startPod(one);
  await one.held();
  first.pod.kill("SIGTERM");
  expect(await first.code).toBe(143);
  expect(says(one, "the checkpoint at step 3 is in s3://models/")).toBe(true);
  // Another Pod may come, and will need them.
  expect(existsSync(one.paths().access)).toBe(true);
  expect((await read(one))?.status).toMatchObject({ state: "stopped", nextPod: true, published: { step: 3 } });

  two.plan({ steps: 8 });
  await s3.declare(two, { supervisor: "pod" });
  expect(await startPod(two).code).toBe(0);
  expect(two.events().find(({ kind }) => kind === "attempt")?.message).toBe("attempt 1, from the checkpoint at step 3");
  await until(async () => (await read(two))?.status.published?.complete === true);
  s3.expectWhole(s3.json("manifest.json"));
  expect(existsSync(two.paths().access)).toBe(false);
});
