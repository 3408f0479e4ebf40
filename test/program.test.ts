import { fileURLToPath } from "node:url";
import { output, type Output, RunError, runtime } from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";

/** The program itself, as Pulumi's language host runs it: main.mjs with a config, and what it puts out. */

const program = fileURLToPath(new URL("../main.mjs", import.meta.url));
const made: string[] = [];

const outputs: Readonly<Record<string, Record<string, unknown>>> = {
  Environment: { path: "/d/env/e", torchDevice: "cpu" },
  ModelWeights: { path: "/d/models/m", bytes: 269_000_000, revision: "0.1.2" },
  Dataset: { path: "/d/datasets/x", names: ["identity"], rows: 16 },
  SftJob: { run: "exp-0123456789ab", directory: "/d/runs/exp-0123456789ab" },
  ChatEndpoint: { url: "http://127.0.0.1:8400", apiKey: "canary-key", models: ["exp", "base"] },
  RunCompletion: { artifact: "/d/runs/exp-0123456789ab/output", finalLoss: 0.5, trainSeconds: 60, steps: 24 },
};

await runtime.setMocks(
  {
    newResource: ({ type, name, inputs }) => {
      const kind = type.split(":").at(-1) ?? "";
      if (type.startsWith("tuneup-host:index:")) made.push(kind);
      return { id: `${name}-id`, state: { ...(inputs as object), ...outputs[kind] } };
    },
    call: ({ inputs }) => inputs as Record<string, unknown>,
  },
  "tuneup",
  "exp",
);

const experiment = {
  model: { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" },
  datasets: [{ builtin: "identity", name: "Ada", author: "us" }],
  train: { template: "qwen" },
};

/** Runs the program with these values under `tuneup:`; its outputs. */
async function run(config: Readonly<Record<string, unknown>>): Promise<Record<string, Output<unknown>>> {
  const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  const entries = Object.entries(config).map(([key, value]) => [`tuneup:${key}`, text(value)]);
  runtime.setAllConfig(Object.fromEntries(entries) as Record<string, string>);
  vi.resetModules();
  const { default: main } = (await import(program)) as {
    default: () => Promise<Record<string, Output<unknown>>>;
  };
  return main();
}

/** The values of all outputs. */
function values(outputs: Record<string, Output<unknown>>): Promise<Record<string, unknown>> {
  return new Promise((resolve) => void output(outputs).apply(resolve));
}

beforeEach(() => {
  made.length = 0;
  vi.stubEnv("TUNEUP_HOME", "/d");
});

describe("main.mjs", () => {
  it("declares the experiment and puts out what it yields", async () => {
    const put = await run(experiment);
    expect(await values(put)).toEqual({
      run: "exp-0123456789ab",
      directory: "/d/runs/exp-0123456789ab",
      url: "http://127.0.0.1:8400",
      apiKey: "canary-key",
      models: ["exp", "base"],
      artifact: "/d/runs/exp-0123456789ab/output",
      finalLoss: 0.5,
      trainSeconds: 60,
    });
    expect(made.toSorted()).toEqual(Object.keys(outputs).toSorted());
  });

  it("puts the endpoint's key out as a secret, and nothing else", async () => {
    const put = await run(experiment);
    await values(put);
    const secrets = await Promise.all(
      Object.entries(put).map(async ([name, value]) =>
        (await (value as unknown as { isSecret: Promise<boolean> }).isSecret) ? [name] : [],
      ),
    );
    expect(secrets.flat()).toEqual(["apiKey"]);
  });

  it("has no outputs of an endpoint where serving is off", async () => {
    const put = await values(await run({ ...experiment, serve: { enabled: false } }));
    expect(Object.keys(put).toSorted()).toEqual(["artifact", "directory", "finalLoss", "run", "trainSeconds"]);
    expect(made).not.toContain("ChatEndpoint");
  });

  it("has no results where `wait` is false", async () => {
    const put = await values(await run({ ...experiment, wait: "false" }));
    expect(Object.keys(put).toSorted()).toEqual(["apiKey", "directory", "models", "run", "url"]);
    expect(made).not.toContain("RunCompletion");
  });

  it("refuses a bad config with every sentence at once, as an error that is shown without a stack", async () => {
    const bad = { ...experiment, modle: { id: "x" }, train: { template: "qwen", learning_rate: "fast" } };
    const failure = await run(bad).catch((thrown: unknown) => thrown);
    expect(RunError.isInstance(failure)).toBe(true);
    const lines = (failure as Error).message.split("\n");
    expect(lines[0]).toBe("stacks/Pulumi.exp.yaml can't be run:");
    expect(lines).toHaveLength(3);
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}tuneup:modle: .*model/));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}tuneup:train\.learning_rate: .*number.*"fast"/));
    expect(made).toEqual([]);
  });

  it("refuses what a target lacks: no host is made up", async () => {
    await expect(run({ ...experiment, target: "ssh" })).rejects.toThrow(/^ {2}tuneup:compute\.host: is required/m);
  });
});
