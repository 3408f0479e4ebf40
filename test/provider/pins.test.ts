import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fakeHost } from "../fixtures/fake-host.ts";
import { EngineLog } from "../../provider/engine-log.ts";
import { changePins } from "../../provider/pins.ts";
import { TuneupProvider } from "../../provider/provider.ts";
import { modelWeightsKind } from "../../provider/resources/model-weights.ts";
import { pinDatasets, pinModel } from "../../recipe/pins.ts";

const provider = new TuneupProvider(new EngineLog(undefined));
const commit = "0123456789abcdef0123456789abcdef01234567";
const model = { source: "hub", id: "Qwen/Qwen2.5-0.5B-Instruct" } as const;

let folder: string;
let pins: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-pins-"));
  pins = join(folder, "exp.lock.json");
});
afterEach(() => rm(folder, { recursive: true }));

const urn = (kind: string) => `urn:pulumi:exp::tuneup::tuneup:components:Experiment$tuneup-host:index:${kind}::exp`;

/** A host whose hub has one commit; keeps what it was asked. */
function hubHost(asked: object[]) {
  return fakeHost("/d", (_name, input) => {
    asked.push(input as object);
    const record = {
      source: "huggingface",
      id: model.id,
      revision: commit,
      files: [],
      completedAt: "",
      schemaVersion: 1,
    };
    return { path: "/d/models/m", record, bytes: 1, created: true };
  });
}

async function weights(changes: object = {}) {
  const given = { host: { kind: "local", dataDirectory: "/d" }, model, environment: "/d/env", pins, ...changes };
  return (await provider.check(urn("ModelWeights"), {}, given)).inputs as Record<string, unknown>;
}

async function up(changes: object = {}) {
  const asked: object[] = [];
  const inputs = await weights(changes);
  const outputs = await modelWeightsKind.ensure(modelWeightsKind.inputs.parse(inputs), {
    host: hubHost(asked),
    options: {},
  });
  return { asked: asked[0], state: { ...inputs, ...outputs, schemaVersion: 1 } };
}

describe("ModelWeights", () => {
  it("pins at first use; the next up, elsewhere too, asks for that commit, and nothing counts as changed", async () => {
    const first = await up();
    expect(first.asked).not.toHaveProperty("pin.revision");
    expect(JSON.parse(await readFile(pins, "utf8"))).toMatchObject({ model: { id: model.id, revision: commit } });
    expect(await provider.diff("id", urn("ModelWeights"), first.state, await weights())).toMatchObject({
      changes: false,
    });
    const { ino } = await stat(pins);
    expect((await up()).asked).toMatchObject({ model, pin: { source: "huggingface", revision: commit } });
    expect((await stat(pins)).ino).toBe(ino);
  });

  it("drops the pin when the stack file says another model or revision", async () => {
    await up();
    expect((await up({ model: { ...model, revision: "v2" } })).asked).not.toHaveProperty("pin.revision");
    expect(JSON.parse(await readFile(pins, "utf8"))).toMatchObject({ model: { asked: { revision: "v2" } } });
  });

  it("is updated when a colleague's pin comes in", async () => {
    const { state } = await up();
    await changePins(pins, (before) => pinModel(before, model, { source: "modelscope", revision: "f".repeat(40) }));
    expect(await provider.diff("id", urn("ModelWeights"), state, await weights())).toMatchObject({ changes: true });
  });

  it("refuses a torn lock file before anything is fetched", async () => {
    await writeFile(pins, "{");
    const { failures } = await provider.check(
      urn("ModelWeights"),
      {},
      {
        host: { kind: "local", dataDirectory: "/d" },
        model,
        environment: "/d/env",
        pins,
      },
    );
    expect(failures).toMatchObject([{ property: "pins", reason: expect.stringContaining("exp.lock.json") as string }]);
  });
});

it("never changes the run: declared and name are the same before and after", async () => {
  const job = {
    host: { kind: "local", dataDirectory: "/d" },
    experiment: "exp",
    train: { template: "qwen" },
    datasets: [{ builtin: "general" }],
    model,
    environment: "/d/env",
    device: "cpu",
    weights: "/d/models/m",
    datasetPath: "/d/datasets/x",
    datasetNames: ["general"],
    config: {},
    pins,
  };
  const read = async () => (await provider.check(urn("SftJob"), {}, job)).inputs as Record<string, unknown>;
  const before = await read();
  await up();
  const after = await read();
  expect(after["run"]).toBe(before["run"]);
  expect(after["declared"]).toBe(before["declared"]);
});

it("keeps both when model and datasets are pinned at the same moment, and leaves no temporary file", async () => {
  const found = { source: "huggingface", revision: commit };
  await Promise.all([
    changePins(pins, (before) => pinModel(before, model, found)),
    changePins(pins, (before) => pinDatasets(before, [{ words: { id: "a/b", source: "hub" }, found }])),
  ]);
  expect(JSON.parse(await readFile(pins, "utf8"))).toMatchObject({
    model: { id: model.id },
    datasets: { "a/b": { revision: commit } },
  });
  expect(await readdir(folder)).toEqual(["exp.lock.json"]);
});
