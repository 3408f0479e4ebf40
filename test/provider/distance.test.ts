import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { digestsBelow } from "../../agent/files.ts";
import { EngineLog } from "../../provider/engine-log.ts";
import { TuneupProvider } from "../../provider/provider.ts";
import { datasetKind } from "../../provider/resources/dataset.ts";
import { runCompletionKind } from "../../provider/resources/run-completion.ts";
import { sftJobKind } from "../../provider/resources/sft-job.ts";
import type { CommandName } from "../../recipe/protocol.ts";
import { distantHost } from "../fixtures/distant-host.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

/** The resources on a host whose files are not this machine's. */
const run = "exp-0123456789ab";
const place = { kind: "ssh", address: "far-away", dataDirectory: "~/tuneup" } as const;

let root: string;
let home: string;
let far: string;
let output: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-distance-"));
  home = join(root, "home");
  far = join(root, "far");
  output = `${far}/runs/${run}/output`;
  vi.stubEnv("TUNEUP_HOME", home);
  vi.stubEnv("TUNEUP_DISCARD", undefined);
  await mkdir(output, { recursive: true });
  await writeFile(`${output}/adapter_model.safetensors`, "weights");
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

/** A host with a run that is complete, and what was asked of it. */
async function hostWithRun(state: "complete" | "training" = "complete") {
  const calls: CommandName[] = [];
  const facts = { attempts: 1, step: 4, totalSteps: 4, trainSeconds: 1, artifact: "adapter", finalLoss: 0.5 };
  const done = { schemaVersion: 1, run, completedAt: "2026-01-01T00:00:00.000Z", ...facts };
  const manifest = state === "complete" ? { ...done, files: await digestsBelow(output) } : null;
  const host = distantHost(far, (name) => {
    calls.push(name);
    if (name === "usage") return [];
    return { status: { state }, spec: { experiment: "exp", run, arguments: {} }, manifest, bytes: 1 };
  });
  return Object.assign(host, { calls });
}

describe("RunCompletion", () => {
  const inputs = runCompletionKind.inputs.parse({ host: place, experiment: "exp", run, endpoint: false });

  it("brings the artifact, gives its folder on this machine, and brings it again where it was lost here", async () => {
    const host = await hostWithRun();
    const made = await runCompletionKind.ensure(inputs, { host, options: {} });
    expect(made.artifact).toBe(`${home}/artifacts/exp/${run}`);
    expect(made.lossCurve).toBe(`${made.artifact}/training_loss.png`);
    expect(await readFile(`${made.artifact}/adapter_model.safetensors`, "utf8")).toBe("weights");
    expect(await runCompletionKind.read(inputs, made, { host, options: {} })).toEqual(made);

    await rm(`${made.artifact}/adapter_model.safetensors`);
    const seen = await runCompletionKind.read(inputs, made, { host, options: {} });
    expect(seen?.state).toBe(`artifact: ${made.artifact}/adapter_model.safetensors is missing.`);
    await runCompletionKind.ensure(inputs, { host, options: {} });
    expect(await runCompletionKind.read(inputs, made, { host, options: {} })).toEqual(made);
  });

  it("brings it to a second machine too, whatever folder the first one wrote into the state", async () => {
    const host = await hostWithRun();
    const made = await runCompletionKind.ensure(inputs, { host, options: {} });
    const colleagues = { ...made, artifact: "/home/colleague/artifacts/exp" };
    expect((await runCompletionKind.read(inputs, colleagues, { host, options: {} }))?.state).not.toBe("healthy");
  });

  it("leaves it in the run's folder on this machine", async () => {
    const far = await hostWithRun();
    const here = fakeHost(far.dataDirectory, (name, input) => far.run(name, input as never));
    expect((await runCompletionKind.ensure(inputs, { host: here, options: {} })).artifact).toBe(output);
  });
});

describe("SftJob", () => {
  const given = {
    ...{ host: place, experiment: "exp", train: {}, datasets: [{ builtin: "general" }], declared: "", run },
    ...{ model: { source: "hub", id: "a/b" }, environment: "/e", device: "cpu", weights: "/w" },
    ...{ datasetPath: "/p", datasetNames: [], config: {} },
  };
  const remove = async (host: Awaited<ReturnType<typeof hostWithRun>>, more: object = {}) =>
    sftJobKind.remove(sftJobKind.inputs.parse({ ...given, ...more }), { host, options: {} });

  it("is not removed while what it left lies on the host alone, unless that is said", async () => {
    const host = await hostWithRun();
    await expect(remove(host)).rejects.toMatchObject({
      code: "artifact-unsafe",
      message: `what run ${run} left lies on far-away alone, in ${output}.`,
      next: expect.stringContaining("npx tuneup fetch exp") as string,
    });
    expect(host.calls).not.toContain("run-stop");
    await remove(host, { discard: true });
    expect(host.calls).toContain("run-stop");
    vi.stubEnv("TUNEUP_DISCARD", "1");
    await remove(host);
  });

  it("is removed in the middle of its run, and when its artifact is here", async () => {
    await remove(await hostWithRun("training"));
    const host = await hostWithRun();
    const inputs = runCompletionKind.inputs.parse({ host: place, experiment: "exp", run, endpoint: false });
    await runCompletionKind.ensure(inputs, { host, options: {} });
    await remove(host);
    expect(host.calls).toContain("run-stop");
  });
});

describe("Dataset", () => {
  it("looks at Parquet that the host fetched, in a folder of this machine that is gone afterwards", async () => {
    const folder = `${far}/datasets/x`;
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "faq.parquet"), "no Parquet at all, but long enough for a footer");
    const record = { names: ["faq"], rows: 1, files: await digestsBelow(folder) };
    const host = distantHost(far, () => ({ path: folder, record }));
    const datasets = [{ url: "https://files.example/faq.parquet", sha256: "ab".repeat(32) }];
    const inputs = datasetKind.inputs.parse({ host: place, datasets, digest: "" });
    await expect(datasetKind.ensure(inputs, { host, options: {} })).rejects.toMatchObject({
      code: "dataset-malformed",
    });
    expect(host.fetched).toHaveLength(1);
    await expect(readFile(join(host.fetched[0]!.here, "faq.parquet"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

it("another way to the same host changes no resource", async () => {
  const provider = new TuneupProvider(new EngineLog(undefined));
  const urn = "urn:pulumi:exp::tuneup::tuneup:components:Experiment$tuneup-host:index:RunCompletion::exp";
  const olds = { host: place, experiment: "exp", run, endpoint: false, state: "healthy", schemaVersion: 1 };
  const news = { host: place, experiment: "exp", run, endpoint: false };
  const ways = [{ identity: "/k" }, { port: 2222 }, { jump: "bastion" }, { offline: true }];
  for (const way of ways) {
    expect(await provider.diff("id", urn, olds, { ...news, host: { ...place, ...way } })).toMatchObject({
      changes: false,
      replaces: [],
    });
  }
  const moved = { ...news, host: { ...place, address: "elsewhere" } };
  expect(await provider.diff("id", urn, olds, moved)).toMatchObject({ changes: true, replaces: ["host"] });
});
