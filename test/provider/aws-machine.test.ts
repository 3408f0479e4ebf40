import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { digestsBelow, writeJson } from "../../agent/files.ts";
import { artifactFolder } from "../../hosts/artifact.ts";
import { EngineLog } from "../../provider/engine-log.ts";
import { finishedRun } from "../../provider/finished.ts";
import { TuneupProvider } from "../../provider/provider.ts";
import { unknownValue } from "../../provider/values.ts";
import { type FakeAws, fakeAws } from "../hosts/fake-aws.ts";

/** A stack whose machine comes and goes, through the provider. */
const provider = new TuneupProvider(new EngineLog(undefined));
const urn = (kind: string) => `urn:pulumi:exp::tuneup::tuneup:components:Experiment$tuneup-host:index:${kind}::exp`;
const host = { kind: "aws", region: "us-east-1", stack: "exp", dataDirectory: "/var/lib/tuneup" } as const;
const resting = { ...host, resting: true };
const id = "i-0a1b2c3d4e5f67890";

const declared = {
  ...{ experiment: "exp", train: { template: "qwen" }, datasets: [{ builtin: "general" }] },
  model: { source: "hub", id: "a/b" },
};
const job = {
  ...{ host, machine: id, ...declared, environment: "/e", device: "cpu", weights: "/w" },
  ...{ datasetPath: "/p", datasetNames: [], config: {}, run: "exp-0123456789ab", declared: "" },
};
const made = { ...job, directory: "/d", state: "healthy", schemaVersion: 1 };

let aws: FakeAws;

beforeEach(async () => {
  aws = await fakeAws();
});
afterEach(() => aws.remove());

const end = () => {
  aws.machines = [{ id, stack: "exp", state: "terminated", reason: "Client.InstanceInitiatedShutdown" }];
  aws.consoles.set(id, "tuneup: this machine ends: its lease is over.\n");
};
const diff = (olds: object, news: object) => provider.diff("id", urn("SftJob"), olds, news);

describe("a machine that ended", () => {
  it.each(["SftJob", "RunCompletion"])("leaves %s in the state, with the reason of its end", async (kind) => {
    end();
    const olds = kind === "SftJob" ? made : { ...made, endpoint: false, artifact: "/a" };
    const read = await provider.read("exp-0123456789ab", urn(kind), olds);
    const state = `ended: The machine of exp in us-east-1 (${id}) ended: its lease is over.`;
    expect(read).toMatchObject({ id: "exp-0123456789ab", props: { run: job.run, state } });
  });

  it("is made good by the next update that has one, and only by that", async () => {
    const ended = { ...made, state: "ended: x" };
    expect(await diff(ended, { ...job, machine: "i-0b" })).toMatchObject({ changes: true, replaces: [] });
    expect(await diff(ended, { ...job, machine: undefined, host: resting })).toMatchObject({ changes: false });
  });

  it("has nothing left to end", async () => {
    end();
    await provider.delete("exp-0123456789ab", urn("SftJob"), made);
    expect(aws.actions).toContain("DescribeInstances");
  });

  it("is not taken for one that can't be asked about", async () => {
    aws.refusals.set("DescribeInstances", [{ status: 403, name: "UnauthorizedOperation", message: "no" }]);
    await expect(provider.delete("exp-0123456789ab", urn("SftJob"), made)).rejects.toThrow(/may not ec2:Describe/);
    aws.refusals.set("DescribeInstances", [{ status: 403, name: "UnauthorizedOperation", message: "no" }]);
    await expect(provider.read("id", urn("SftJob"), made)).rejects.toThrow(/may not ec2:Describe/);
  });
});

describe("another machine", () => {
  it("is told what it is to do, once it is known", async () => {
    expect(await diff(made, job)).toMatchObject({ changes: false });
    expect(await diff(made, { ...job, machine: "i-0b" })).toMatchObject({ changes: true, replaces: [] });
    expect(await diff(made, { ...job, machine: unknownValue })).toMatchObject({ changes: false });
  });
});

describe("a preview without a machine", () => {
  const checked = async (kind: string, news: object) => {
    const checked = await provider.check(urn(kind), {}, { host, device: "auto", ...news });
    return checked.failures as { property: string; reason: string }[];
  };
  const serve = {
    ...{ engine: "huggingface", base: "auto", host: "127.0.0.1", port: 8400, requestsPerMinute: 60 },
    ...{ queue: 4, bodyBytes: 1000, maxTokens: 64 },
  };

  it.each([["pending"], ["terminated"], [undefined]])("leaves its questions out: %s", async (state) => {
    aws.machines = state === undefined ? [] : [{ id, stack: "exp", state }];
    expect(await checked("Environment", {})).toEqual([]);
    expect(await checked("ChatEndpoint", { serve, experiment: "exp" })).toEqual([]);
    expect(aws.actions).not.toContain("SendSSHPublicKey");
  });

  it("says which programs the way there needs", async () => {
    await Promise.all(["aws", "session-manager-plugin"].map((name) => rm(join(aws.folder, "bin", name))));
    vi.stubEnv("PATH", `${aws.folder}/bin`);
    expect((await checked("Environment", {})).map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/AWS CLI \(`aws`\) is not on PATH/),
      expect.stringMatching(/session-manager-plugin` is not on PATH/),
    ]);
  });

  it("says that AWS does not let it look", async () => {
    aws.refusals.set("DescribeInstances", [{ status: 400, name: "ExpiredToken", message: "old" }]);
    expect(await checked("Environment", {})).toMatchObject([
      { property: "aws", reason: expect.stringMatching(/have expired/) as string },
    ]);
  });
});

describe("a run that is finished", () => {
  const home = () => join(aws.folder, "home");

  /** The artifact as it lies here after `up`. */
  async function bring(run: string): Promise<string> {
    const folder = artifactFolder(home(), "exp", run);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "adapter_model.safetensors"), "weights");
    const facts = { attempts: 1, step: 4, totalSteps: 4, trainSeconds: 1, artifact: "adapter" };
    const files = await digestsBelow(folder);
    await writeJson(join(folder, "manifest.json"), {
      ...{ schemaVersion: 1, run, completedAt: "2026-01-01T00:00:00.000Z", ...facts, files },
    });
    return folder;
  }

  const named = async (): Promise<string> => {
    const checked = await provider.check(urn("SftJob"), {}, { ...job, config: unknownValue });
    return (checked.inputs as { run: string }).run;
  };

  it("is known by its artifact on this machine, whole, and asks no cloud", async () => {
    expect(await finishedRun(declared, home())).toBeUndefined();
    const run = await named();
    aws.actions.length = 0;
    const folder = await bring(run);
    expect(await finishedRun(declared, home())).toBe(run);
    // What the program leaves undefined does not cross the wire.
    const sparse = { ...declared, model: { ...declared.model, adapter: undefined }, processes: undefined };
    expect(await finishedRun(sparse, home())).toBe(run);
    expect(await finishedRun({ ...declared, train: { template: "llama3" } }, home())).toBeUndefined();
    expect(await finishedRun({ ...declared, datasets: [{ path: "/nowhere.json" }] }, home())).toBeUndefined();
    await writeFile(join(folder, "adapter_model.safetensors"), "torn");
    expect(await finishedRun(declared, home())).toBeUndefined();
    expect(aws.actions).toEqual([]);
  });

  it("has its results although no machine is made for them", async () => {
    const run = await named();
    const folder = await bring(run);
    const completion = { host: resting, experiment: "exp", run, endpoint: false };
    const created = await provider.create(urn("RunCompletion"), completion);
    expect(created).toMatchObject({ id: run, outs: { steps: 4, artifact: folder, state: "healthy", run } });
    const other = await provider.create(urn("SftJob"), { ...job, host: resting });
    expect(other).toMatchObject({ id: job.run, outs: { run: job.run, state: "ended" } });
  });
});
