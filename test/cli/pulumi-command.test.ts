import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConcurrentUpdateError } from "@pulumi/pulumi/automation/index.js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runToEnd } from "../../cli/pulumi-command.ts";
import { until } from "../agent/runs/harness.ts";

/** Like the engine: notes each SIGINT; ends at the first as soon as it may, at the second at once. */
const engine = `
const { appendFileSync, existsSync } = require("node:fs");
const [heard, may] = process.argv.slice(1);
let times = 0;
process.on("SIGINT", () => {
  appendFileSync(heard, "SIGINT\\n");
  times += 1;
  if (times === 2) process.exit(2);
});
setInterval(() => { if (times > 0 && existsSync(may)) process.exit(1); }, 20);
console.log("ready " + process.pid);
`;
const program = fileURLToPath(new URL("./interrupted-update.ts", import.meta.url));
let folder: string;
let child: ChildProcess;
let said: string;

/** What the engine heard. */
const heard = (): string => (existsSync(join(folder, "heard")) ? readFileSync(join(folder, "heard"), "utf8") : "");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-interrupt-"));
  const words = [program, process.execPath, "-e", engine, join(folder, "heard"), join(folder, "may")];
  child = spawn(process.execPath, words, { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
  await until(() => /ready \d+\n/.test(said));
});
afterEach(async () => {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  // The engine too, of a test that failed or that killed its parent. It has a group of its own.
  try {
    process.kill(Number(/ready (\d+)/.exec(said)?.[1]), "SIGKILL");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
  await rm(folder, { recursive: true, force: true });
});

const pidOf = (): number => child.pid ?? NaN;

test.each<[string, () => void]>([
  ["a terminal's Ctrl-C, which goes to the whole group", () => process.kill(-pidOf(), "SIGINT")],
  ["SIGINT to the pid alone", () => process.kill(pidOf(), "SIGINT")],
  ["SIGTERM to the pid alone", () => process.kill(pidOf(), "SIGTERM")],
  ["the end of the terminal", () => process.kill(-pidOf(), "SIGHUP")],
])("%s reaches the engine once, whose end is waited for", async (_what, send) => {
  send();
  await until(() => heard() !== "");
  expect(child.exitCode).toBeNull();
  await writeFile(join(folder, "may"), "");
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code, said).toBe(130);
  expect(said).toContain("interrupting\n");
  expect(said).toContain("cancelled\n");
  expect(heard()).toBe("SIGINT\n");
});

test("a second Ctrl-C makes the engine give up and ends us", async () => {
  process.kill(-pidOf(), "SIGINT");
  await until(() => heard() !== "");
  process.kill(-pidOf(), "SIGINT");
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  expect(signal).toBe("SIGINT");
  await until(() => heard() === "SIGINT\nSIGINT\n");
});

test("a command's output and failure come as the Automation API has them", async () => {
  process.kill(pidOf(), "SIGKILL");
  const ran = await runToEnd(process.execPath, ["-e", 'console.log(process.env.A); console.error("b")'], folder, {
    A: "a",
  });
  expect({ ...ran }).toMatchObject({ stdout: "a\n", stderr: "b\n", code: 0 });
  const locked = 'console.error("error: the stack is currently locked by 1 lock(s)"); process.exitCode = 255';
  await expect(runToEnd(process.execPath, ["-e", locked], folder, {})).rejects.toThrow(ConcurrentUpdateError);
  await expect(runToEnd(join(folder, "none"), [], folder, {})).rejects.toThrow(/ENOENT/);
});
