import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { datasetEnsure } from "../../../agent/datasets/commands.ts";
import { dataFilesAt, readDatasetInfos } from "../../../agent/datasets/locate.ts";
import { resolveHubDataset } from "../../../checks/datasets/hub.ts";
import { filesDigest } from "../../../recipe/dataset-files.ts";
import { planDatasets } from "../../../recipe/datasets.ts";
import { startDatasetHub } from "../../fixtures/dataset-hub.ts";
import { listen } from "../context.ts";

let home: string;
beforeEach(async () => (home = await mkdtemp(join(tmpdir(), "tuneup-place-"))));
afterEach(() => rm(home, { recursive: true }));

const row = (text: string) => `{"instruction":"${text}","input":"","output":"b"}\n`;
const digest = "ab".repeat(32);

it("prepares the files of a hub, and needs the hub no more", async () => {
  const hub = await startDatasetHub("org/faq", { "train-0.jsonl": row("a"), "train-1.jsonl": row("c") });
  const access = { environment: { HF_ENDPOINT: hub.url }, signal: new AbortController().signal };
  const { files } = await resolveHubDataset({ id: "org/faq", source: "huggingface" }, access);
  const entry = { name: "faq", info: {}, sha256: digest, extension: "json" as const, remote: [...files] };
  const { path, record } = await datasetEnsure({ dataDirectory: home, digest, entries: [entry] }, listen());
  await hub.close();
  expect(record).toMatchObject({ names: ["faq"], rows: 2 });
  expect(JSON.parse(await readFile(join(path, "dataset_info.json"), "utf8"))).toEqual({ faq: { file_name: "faq" } });
  expect(await readFile(join(path, "faq", "train-1.jsonl"), "utf8")).toBe(row("c"));
  await rm(path, { recursive: true });
  await expect(datasetEnsure({ dataDirectory: home, digest, entries: [entry] }, listen())).resolves.toBeDefined();
});

it("prepares a folder of files, without what is no data", async () => {
  const folder = join(home, "chats");
  await mkdir(folder);
  for (const name of ["b.jsonl", "a.json", "README.md"]) await writeFile(join(folder, name), row(name));
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const files = (await dataFilesAt(folder)).map((one) => ({ ...one, sha256: sha256(row(one.path)) }));
  expect(files.map(({ path }) => path)).toEqual(["a.json", "b.jsonl"]);
  const entry = { name: "chats", info: {}, sha256: filesDigest(files), extension: "json" as const, files };
  const { record } = await datasetEnsure({ dataDirectory: home, digest, entries: [entry] }, listen());
  expect(record.rows).toBe(2);
  await writeFile(join(folder, "c.csv"), "instruction,input,output\na,,b\n");
  await expect(dataFilesAt(folder)).rejects.toMatchObject({ code: "dataset-format" });
});

it("keeps files apart whose names have no Latin letter", async () => {
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const names = ["客服.jsonl", "百科.jsonl"];
  for (const name of names) await writeFile(join(home, name), row(name));
  const files = names.map((path) => ({ path, file: join(home, path), sha256: sha256(row(path)) }));
  const entry = { name: "faq", info: {}, sha256: filesDigest(files), extension: "json" as const, files };
  const { path, record } = await datasetEnsure({ dataDirectory: home, digest, entries: [entry] }, listen());
  expect(record.rows).toBe(2);
  const placed = (await readdir(join(path, "faq"))).map((name) => readFile(join(path, "faq", name), "utf8"));
  expect((await Promise.all(placed)).toSorted()).toEqual(names.map(row).toSorted());
});

it("takes an existing dataset_info.json as it is, and names what it lacks", async () => {
  const path = join(home, "dataset_info.json");
  const entries = {
    faq: { file_name: "faq.json", columns: { prompt: "q", response: "a" } },
    alpaca: { hf_hub_url: "llamafactory/alpaca_en", ms_hub_url: "x/y" },
  };
  await writeFile(path, JSON.stringify(entries));
  const infos = await readDatasetInfos([path]);
  const plans = planDatasets([{ datasetInfo: path, names: ["faq", "alpaca"] }], infos);
  expect(plans).toMatchObject([
    { name: "faq", path: join(home, "faq.json"), info: { columns: { prompt: "q", response: "a" } } },
    { name: "alpaca", hub: { id: "llamafactory/alpaca_en", source: "huggingface" } },
  ]);
  expect(() => planDatasets([{ datasetInfo: path, names: ["fag"] }], infos)).toThrow('no dataset "fag"');
});
