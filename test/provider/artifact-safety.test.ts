import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { digestsBelow } from "../../agent/files.ts";
import type { Host } from "../../hosts/host.ts";
import { EngineLog } from "../../provider/engine-log.ts";
import { TuneupProvider } from "../../provider/provider.ts";
import { asSecret, reveal } from "../../provider/values.ts";
import type { CommandName } from "../../recipe/protocol.ts";
import { distantHost } from "../fixtures/distant-host.ts";

/** An experiment with an endpoint on another host, taken down through the provider in the order of `pulumi destroy`. */
const run = "exp-0123456789ab";
const place = { kind: "ssh", address: "far-away", dataDirectory: "~/tuneup" } as const;
const order = ["RunCompletion", "ChatEndpoint", "SftJob"] as const;
type Kind = (typeof order)[number];

const connected = vi.hoisted(() => ({ host: undefined as Host | undefined }));
vi.mock("../../hosts/connect.ts", () => ({ connect: () => Promise.resolve(connected.host) }));

let root: string;
let calls: CommandName[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-safety-"));
  vi.stubEnv("TUNEUP_HOME", join(root, "home"));
  vi.stubEnv("TUNEUP_DISCARD", undefined);
  const far = join(root, "far");
  const output = `${far}/runs/${run}/output`;
  await mkdir(output, { recursive: true });
  await writeFile(`${output}/adapter_model.safetensors`, "weights");
  const facts = { attempts: 1, step: 4, totalSteps: 4, trainSeconds: 1, artifact: "adapter" };
  const files = await digestsBelow(output);
  const manifest = { schemaVersion: 1, run, completedAt: "2026-01-01T00:00:00.000Z", ...facts, files };
  calls = [];
  connected.host = distantHost(far, (name) => {
    calls.push(name);
    if (name === "usage") return [];
    return { status: { state: "complete" }, spec: { experiment: "exp", run, arguments: {} }, manifest, bytes: 1 };
  });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

const urn = (kind: Kind) => `urn:pulumi:exp::tuneup::tuneup:components:Experiment$tuneup-host:index:${kind}::exp`;

const job = {
  ...{ host: place, experiment: "exp", train: { template: "qwen" }, datasets: [{ builtin: "general" }] },
  ...{ model: { source: "hub", id: "a/b" }, environment: "/e", device: "cpu", weights: "/w", declared: "" },
  ...{ datasetPath: "/p", datasetNames: [], config: {} },
};

const serve = {
  ...{ engine: "huggingface", base: "auto", host: "127.0.0.1", port: 0, requestsPerMinute: 60 },
  ...{ queue: 4, bodyBytes: 1000, maxTokens: 64 },
};

/** Inputs and outputs as the state has them: of a release that did not know `discard` there, where it is not said. */
function stateOf(kind: Kind, more: object = {}): Record<string, unknown> {
  const shared = { host: place, experiment: "exp", run, state: "healthy", schemaVersion: 1, ...more };
  if (kind === "SftJob") return { ...job, ...shared, directory: "/d" };
  if (kind === "RunCompletion") return { ...shared, endpoint: true, steps: 4, artifact: "/a" };
  const engine = { environment: "/e", device: "cpu", weights: "/w", weightsBytes: 1 };
  const made = { url: "http://127.0.0.1:8400", apiKey: asSecret("canary"), models: ["exp"] };
  return { ...shared, serve, train: {}, ...engine, ...made };
}

const newProvider = () => new TuneupProvider(new EngineLog(undefined));

it.each(order)(
  "destroy refuses at %s, before anything is ended, while the artifact lies on the host alone",
  async (kind) => {
    await expect(newProvider().delete("id", urn(kind), stateOf(kind))).rejects.toThrow(
      /what run exp-0123456789ab left lies on far-away alone/,
    );
    expect(calls).toEqual(["run-read"]);
  },
);

it.each([
  ["the experiment", { discard: true }, undefined],
  ["`tuneup down`", {}, "1"],
])("destroy takes all three down where %s says that it may be let go", async (_who, more, variable) => {
  vi.stubEnv("TUNEUP_DISCARD", variable);
  for (const kind of order) await newProvider().delete("id", urn(kind), stateOf(kind, more));
  expect(calls).toEqual(["endpoint-delete", "run-stop", "usage"]);
});

it("an endpoint is taken out of an experiment whose run stays, artifact or not", async () => {
  const provider = newProvider();
  const checked = (await provider.check(urn("SftJob"), {}, job)) as { inputs: { run: string } };
  const kept = { run: checked.inputs.run };
  await provider.delete("id", urn("ChatEndpoint"), stateOf("ChatEndpoint", kept));
  expect(calls).toEqual(["endpoint-delete"]);
});

it.each(order)(
  "that the artifact of %s may be let go is kept in the state, and the host is asked for nothing",
  async (kind) => {
    const provider = newProvider();
    const olds = stateOf(kind);
    expect(await provider.diff("id", urn(kind), olds, olds)).toMatchObject({ changes: false });
    const news = { ...olds, discard: true };
    expect(await provider.diff("id", urn(kind), olds, news)).toMatchObject({ changes: true, replaces: [] });
    const { outs } = (await provider.update("id", urn(kind), olds, news)) as { outs: Record<string, unknown> };
    expect(reveal(outs)).toEqual(reveal(news));
    if (kind === "ChatEndpoint") expect(outs["apiKey"]).toEqual(asSecret("canary"));
    expect(calls).toEqual([]);
  },
);
