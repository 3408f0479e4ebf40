import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { checkConfig, checkExperiment } from "../../checks/experiment.ts";
import type { HostFacts } from "../../checks/hardware.ts";
import { datasetKind } from "../../provider/resources/dataset.ts";
import { modelWeightsKind } from "../../provider/resources/model-weights.ts";
import { h100 } from "../fixtures/h100.ts";
import { readRunnableExperiment } from "../../recipe/runnable-experiment.ts";
import { bad, badFiles, type Config, good, numbersOutside, withChange } from "./bad-experiments.ts";

/**
 * Every kind of bad experiment gives a clear error in `tuneup check`, and in `pulumi preview`: there the program reads the file, and the resources
 * Dataset, ModelWeights and SftJob check themselves.
 */

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-bad-"));
  for (const [name, text] of Object.entries(badFiles)) await writeFile(join(folder, name), text);
});
beforeEach(() => {
  // What preview remembers of a file lies in the data directory.
  vi.stubEnv("TUNEUP_HOME", join(folder, "home"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const context = (host: HostFacts) => ({ home: join(folder, "home"), pins: { schemaVersion: 1 } as never, host });

async function check(config: Config, host = h100): Promise<Told[]> {
  const findings = await checkConfig(config, folder, context(host));
  return findings
    .filter(({ level }) => level === "error")
    .map(({ code, property, message, next = "" }) => ({ code, property, message, text: `${message} ${next}` }));
}

/** An error as it is told. */
interface Told {
  readonly code: string | undefined;
  readonly property: string | undefined;
  readonly message: string;
  readonly text: string;
}

/** What preview refuses: its text only, as Pulumi shows it. */
async function preview(config: Config): Promise<{ readonly property: string | undefined; readonly text: string }[]> {
  const { experiment, faults } = readRunnableExperiment(config, folder);
  if (experiment === undefined)
    return faults.map(({ property, message, next = "" }) => ({ property, text: `${message} ${next}` }));
  const host = { kind: "local", dataDirectory: join(folder, "home") };
  const { datasets, model } = experiment;
  const resources = [
    await datasetKind.check?.({ host, datasets }, {}),
    await modelWeightsKind.check?.({ host, model }, {}),
  ];
  const own = await checkExperiment(experiment, { ...context(h100), resourcesOnly: true });
  return [
    ...resources.flatMap((one) => one?.failures ?? []).map(({ property, reason }) => ({ property, text: reason })),
    ...own
      .filter(({ level }) => level === "error")
      .map(({ property, message, next = "" }) => ({ property, text: `${message} ${next}` })),
  ];
}

const isAt = (property: string) => (told: { readonly property: string | undefined }) =>
  told.property === property || told.property?.startsWith(`${property}.`) === true;

test("the good experiment that all of them are changes of has no error", async () => {
  expect(await check(good)).toEqual([]);
});

test("there are at least forty", () => {
  expect(bad.length).toBeGreaterThanOrEqual(40);
});

test.each(bad)("%s", async (_what, change, code, property, text) => {
  const config = withChange(change);
  const errors = await check(config);
  const found = errors.find(isAt(property));
  expect(errors, `no error at ${property}`).toContain(found);
  if (typeof code === "string") expect(found?.code).toBe(code);
  else expect(found?.code).toMatch(code);
  expect(found?.text).toMatch(text);
  // A sentence: it ends, and names no code of ours.
  expect(found?.message).toMatch(/[.?!]$/);
  const refused = await preview(config);
  expect(
    refused
      .filter(isAt(property))
      .map((one) => one.text)
      .join("\n"),
    JSON.stringify(refused),
  ).toMatch(text);
});

test.each(numbersOutside.map(([name, value, more = {}]) => ({ name, value, more })))(
  "$name: $value is refused",
  async ({ name, value, more }) => {
    const errors = await check(withChange({ train: { ...more, [name]: value } }));
    const found = errors.find(isAt(`train.${name}`));
    expect(found?.code, JSON.stringify(errors)).toBe("argument-value");
    expect(found?.message).toContain(String(value));
  },
);

test.each<[what: string, config: Config, host: Partial<HostFacts>, code: string, property: string]>([
  ["cuda without a GPU", { compute: { device: "cuda" } }, { gpus: [] }, "device-missing", "compute.device"],
  ["a GPU whose driver is broken", {}, { gpus: [], driverTrouble: "it is broken" }, "cuda-unusable", "compute.device"],
  ["no Python", {}, { python: null }, "python-missing", "host"],
  [
    "a folder that can't be written",
    {},
    { unwritable: "/data is read-only" },
    "home-unwritable",
    "storage.dataDirectory",
  ],
  ["no room for the environment", {}, { diskFreeBytes: 1e9 }, "disk-full", "storage.dataDirectory"],
  ["no room for the weights", {}, { diskFreeBytes: 15e9 }, "disk-free", "storage.dataDirectory"],
  [
    "no adapter where one is named",
    { model: { ...good.model, adapter: "a-1" } },
    {},
    "adapter-missing",
    "model.adapter",
  ],
])("check tells of the machine as well: %s", async (_what, change, facts, code, property) => {
  expect(await check(withChange(change), { ...h100, ...facts })).toContainEqual(
    expect.objectContaining({ code, property }),
  );
});
