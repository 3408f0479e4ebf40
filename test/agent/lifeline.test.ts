import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../../agent/main.ts", import.meta.url));
let folder: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-lifeline-"));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

function agent(command: string, variables: Readonly<Record<string, string>> = {}) {
  const env = { ...process.env, ...variables };
  const started = spawn(process.execPath, [main, command, "--lifeline"], { stdio: ["pipe", "pipe", "inherit"], env });
  child = started;
  return started;
}

describe("a remote caller's command", () => {
  it("takes its input from the first line and ends although stdin stays open", async () => {
    const { stdin, stdout } = agent("run-list");
    stdin.write(`${JSON.stringify({ input: { dataDirectory: folder, experiment: "x" }, environment: {} })}\n`);
    const [line] = (await once(createInterface({ input: stdout }), "line")) as [string];
    expect(JSON.parse(line)).toEqual({ type: "result", value: [] });
    await once(child!, "exit");
  });

  it("ends with its caller", async () => {
    const { stdin, stdout } = agent("logs");
    const input = { dataDirectory: folder, experiment: "x", of: "run", follow: true, lines: 0 };
    stdin.write(`${JSON.stringify({ input, environment: {} })}\n\n`);
    stdin.end();
    stdout.resume();
    const [code] = (await once(child!, "exit")) as [number | null];
    expect(code).toBe(1);
  });

  // Less than the patience that it has otherwise.
  it("ends where its caller fell silent, as over a wire that is cut", { timeout: 30_000 }, async () => {
    const { stdin, stdout } = agent("logs", { TUNEUP_LIFELINE_MS: "300" });
    const input = { dataDirectory: folder, experiment: "x", of: "run", follow: true, lines: 0 };
    stdin.write(`${JSON.stringify({ input, environment: {} })}\n`);
    stdout.resume();
    const [code] = (await once(child!, "exit")) as [number | null];
    expect(code).toBe(1);
    expect(stdin.writableEnded).toBe(false);
  });

  it("refuses what is no input", async () => {
    const { stdin, stdout } = agent("run-list");
    stdin.end("no json\n");
    const [line] = (await once(createInterface({ input: stdout }), "line")) as [string];
    expect(JSON.parse(line)).toMatchObject({ type: "fault" });
  });
});
