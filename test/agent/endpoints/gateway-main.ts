import { openSync } from "node:fs";
import { spawn } from "node:child_process";
import { runGateway } from "../../../agent/endpoints/gateway.ts";
import type { LaunchGateway } from "../../../agent/endpoints/gateway-process.ts";
import { childEnvironment } from "../../../agent/processes.ts";
import { fakeKind, quickTiming } from "./gateway-fixture.ts";

/** Starts this file as a detached gateway with fake engines, as the agent starts the real one. */
export const launchFakeGateway: LaunchGateway = (layout, experiment) => {
  const output = openSync(layout.endpoint(experiment).log, "a", 0o600);
  const child = spawn(process.execPath, [import.meta.filename, layout.root, experiment], {
    detached: true,
    stdio: ["ignore", output, output],
    env: childEnvironment({ NODE_NO_WARNINGS: "1" }),
    cwd: "/",
  });
  child.unref();
  return child.pid;
};

if (process.argv[1] === import.meta.filename) {
  const [root = "", experiment = "", places] = process.argv.slice(2);
  const kind = fakeKind(`${root}/behaviour.json`, `${root}/journal.jsonl`, Number(places ?? 1));
  // Under load a busy machine must not look like an engine that hangs.
  const timing = places === undefined ? quickTiming : { poll: 30 };
  // With --expose-gc and a channel: what is held after a collection, for tests of leaks.
  process.on("message", () => {
    (globalThis as { gc?: () => void }).gc?.();
    process.send?.(process.memoryUsage());
  });
  await runGateway({ dataDirectory: root, experiment, kind, timing });
}
