import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { artifactFolder } from "../../hosts/artifact.ts";
import { requireSafe } from "../../cli/unsafe-artifacts.ts";
import { asFault, type Fault } from "../../recipe/fault.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const signal = new AbortController().signal;
const bytes = "adapter";
const manifest = {
  schemaVersion: 1,
  run: "x-1",
  completedAt: "2026-01-01T00:00:00Z",
  ...{ attempts: 1, step: 2, totalSteps: 2, trainSeconds: 1, artifact: "adapter" },
  files: [{ path: "a.txt", bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }],
} as const;

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tuneup-unsafe-"));
  vi.stubEnv("TUNEUP_HOME", home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

/** Another machine with one complete run and one that trains. */
function host() {
  return fakeHost(
    "/there",
    (command) =>
      command === "run-list"
        ? [
            { run: "x-2", state: "training" },
            { run: "x-1", state: "complete" },
          ]
        : { manifest, spec: { experiment: "x", run: "x-1", arguments: {} }, status: { state: "complete" } },
    { isHere: false, description: "my-gpu", fetch: ({ here }) => writeFile(`${here}/a.txt`, bytes) },
  );
}

/** A terminal at which `answers` are typed, each once a question is there. */
function terminal(...answers: readonly string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = Object.assign(new PassThrough(), { isTTY: true });
  let said = "";
  let given = 0;
  output.on("data", (text: Buffer) => {
    said += text.toString();
    const asked = said.split("[f/d/c]").length - 1;
    for (; given < Math.min(asked, answers.length); given++) {
      if (answers[given] === "\u0004") input.end();
      else input.write(answers[given] ?? "");
    }
  });
  return { input, output, said: () => said };
}

const question = { experiment: "x", all: false, signal };

it("has nothing to ask on this machine", async () => {
  const here = fakeHost(home, () => {
    throw new Error("not asked");
  });
  expect(await requireSafe(here, question)).toBe("safe");
});

it("refuses off a terminal and names both ways on", async () => {
  const quiet = { input: new PassThrough(), output: new PassThrough() };
  const refused = await requireSafe(host(), { ...question, terminal: quiet }).catch(asFault);
  expect(refused).toMatchObject({ code: "artifact-unsafe", message: "What x-1 left lies on my-gpu alone." });
  expect((refused as Fault).next).toMatch(/tuneup fetch x.*tuneup down x --discard/);
});

it("fetches on the user's word, and then there is nothing to ask", async () => {
  expect(await requireSafe(host(), { ...question, terminal: terminal("what?\n", "f\n") })).toBe("safe");
  expect(await readFile(`${artifactFolder(home, "x", "x-1")}/a.txt`, "utf8")).toBe(bytes);
  const silent = terminal();
  expect(await requireSafe(host(), { ...question, terminal: silent })).toBe("safe");
  expect(silent.said()).toBe("");
});

it("goes on without it on the user's word", async () => {
  expect(await requireSafe(host(), { ...question, terminal: terminal("discard\n") })).toBe("discard");
});

it.each([["c\n"], ["\u0004"]])("cancels at %j", async (answer) => {
  const cancelled = requireSafe(host(), { ...question, terminal: terminal(answer) });
  await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
});
