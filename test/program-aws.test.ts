import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { output, type Output, runtime } from "@pulumi/pulumi";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { digestsBelow, writeJson } from "../agent/files.ts";
import { artifactFolder } from "../hosts/artifact.ts";
import { runIdentity } from "../provider/run-identity.ts";

/** The program on aws: whether it wants a machine is decided by what lies on this one. */

const program = fileURLToPath(new URL("../main.mjs", import.meta.url));
const made: string[] = [];
const answers: Readonly<Record<string, object>> = {
  getParameter: { insecureValue: "ami-0123456789abcdef0" },
  getEbsVolumes: { ids: [] },
  getInstances: { ids: [] },
};

await runtime.setMocks(
  {
    newResource: ({ type, inputs }) => {
      made.push(type.split(":").at(-1) ?? "");
      const id = type.endsWith(":Volume") ? "vol-0123456789abcdef0" : "i-0123456789abcdef0";
      return { id, state: { ...(inputs as object), run: "exp-0123456789ab" } };
    },
    call: ({ token }) => answers[token.split(":").at(-1) ?? ""] as Record<string, unknown>,
  },
  "tuneup",
  "exp",
);

const experiment = {
  target: "aws",
  model: { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" },
  datasets: [{ builtin: "identity", name: "Ada", author: "us" }],
  train: { template: "qwen" },
  teardown: "after-training",
};

let home: string;
beforeEach(async () => {
  made.length = 0;
  home = await mkdtemp(join(tmpdir(), "tuneup-program-"));
  vi.stubEnv("TUNEUP_HOME", home);
});
afterEach(() => rm(home, { recursive: true }));

/** Runs the program with these values under `tuneup:`; its outputs, when all are known. */
async function run(config: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  const entries = Object.entries(config).map(([key, value]) => [`tuneup:${key}`, text(value)]);
  runtime.setAllConfig(Object.fromEntries(entries) as Record<string, string>);
  vi.resetModules();
  const { default: main } = (await import(program)) as { default: () => Promise<Record<string, Output<unknown>>> };
  const outputs = await main();
  return new Promise((resolve) => void output(outputs).apply(resolve));
}

/** The artifact of this experiment's run as it lies here after `up`. */
async function bring(): Promise<string> {
  const { train, datasets, model } = experiment;
  const named = await runIdentity({ experiment: "exp", train, datasets, model, checkpoint: "last" });
  if ("failures" in named) throw new Error(JSON.stringify(named.failures));
  const folder = artifactFolder(home, "exp", named.run);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "adapter_model.safetensors"), "weights");
  const facts = { attempts: 1, step: 4, totalSteps: 4, trainSeconds: 1, artifact: "adapter" };
  await writeJson(join(folder, "manifest.json"), {
    ...{ schemaVersion: 1, run: named.run, completedAt: "2026-01-01T00:00:00.000Z", ...facts },
    files: await digestsBelow(folder),
  });
  return folder;
}

it("makes a machine for a run that is not finished, and puts its id out", async () => {
  expect(await run(experiment)).toMatchObject({ machine: "i-0123456789abcdef0" });
  expect(made).toContain("Instance");
});

it("makes none for the same run once what it left lies here whole, and one again where that is damaged", async () => {
  const folder = await bring();
  expect(Object.keys(await run(experiment))).not.toContain("machine");
  expect(made).toContain("RunCompletion");
  expect(made).toContain("Volume");
  expect(made).not.toContain("Instance");
  await writeFile(join(folder, "adapter_model.safetensors"), "torn");
  expect(await run(experiment)).toHaveProperty("machine");
});

it("makes one for another run, and to serve this one", async () => {
  await bring();
  expect(await run({ ...experiment, train: { template: "qwen", seed: 7 } })).toHaveProperty("machine");
  expect(await run({ ...experiment, teardown: "keep" })).toHaveProperty("machine");
});
