import { readdirSync, statSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fetchFile } from "../../../agent/datasets/fetch.ts";
import { remoteOf } from "../../../checks/datasets/address.ts";
import { resolveHubDataset } from "../../../checks/datasets/hub.ts";
import { selectFiles } from "../../../checks/datasets/hub-files.ts";
import { foundFor } from "../../../checks/datasets/sources.ts";
import { until } from "../../agent/runs/harness.ts";
import { type DatasetHub, startDatasetHub } from "../../fixtures/dataset-hub.ts";

const rows = '{"instruction":"a","input":"","output":"b"}\n'.repeat(2000);
const files = { "README.md": "# data", "train.jsonl": rows, "test.json": "[]", "dataset_infos.json": "{}" };

let hub: DatasetHub;
let folder: string;
beforeEach(async () => {
  hub = await startDatasetHub("org/faq", files);
  folder = await mkdtemp(join(tmpdir(), "tuneup-hub-"));
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true });
});

const access = () => ({
  environment: { HF_ENDPOINT: hub.url, MODELSCOPE_ENDPOINT: hub.url },
  signal: new AbortController().signal,
});
const quick = { signal: new AbortController().signal, pauseMs: 1 };

const sizesIn = (path: string): number[] =>
  readdirSync(path, { recursive: true, withFileTypes: true }).map(
    (file) => statSync(join(file.parentPath, file.name)).size,
  );

describe.each(["huggingface", "modelscope"] as const)("%s", (source) => {
  it("is resolved to a revision and fetched, cut downloads going on where they ended", async () => {
    const found = await resolveHubDataset({ id: "org/faq", source }, access());
    expect(found.files.map(({ path }) => path)).toEqual(["train.jsonl"]);
    expect(found.revision).toMatch(/^(0123456789abcdef|files-[0-9a-f]{40}$)/);
    hub.cuts = 2;
    hub.beforeCut = (bytes) => until(() => sizesIn(folder).includes(bytes));
    const [file] = found.files;
    const path = await fetchFile(file!, folder, quick);
    expect(await readFile(path, "utf8")).toBe(rows);
    expect(hub.requests.filter((line) => line.includes("bytes="))).toHaveLength(2);
  });

  it("refuses other bytes than were listed, and leaves none of them", async () => {
    const found = await resolveHubDataset({ id: "org/faq", source }, access());
    hub.corrupt = true;
    const fetched = fetchFile(found.files[0]!, folder, quick);
    await expect(fetched).rejects.toMatchObject({ code: "dataset-hash" });
    hub.corrupt = false;
    expect(await readFile(await fetchFile(found.files[0]!, folder, quick), "utf8")).toBe(rows);
  });

  it.each([
    [403, "dataset-gated"],
    [404, "dataset-gone"],
    [503, "dataset-unreachable"],
  ])("tells HTTP %d as %s", async (status, code) => {
    hub.status = status;
    await expect(resolveHubDataset({ id: "org/faq", source }, access())).rejects.toMatchObject({ code });
  });
});

it("gives a hub's token to the hub and to no other address", async () => {
  const token = { ...quick, token: "hf_secret" };
  const found = await resolveHubDataset({ id: "org/faq", source: "huggingface" }, access());
  await fetchFile(found.files[0]!, folder, token);
  expect(hub.withToken).toHaveLength(1);
  const elsewhere = await remoteOf({ address: found.files[0]!.url, sha256: found.files[0]!.sha256! }, {});
  await fetchFile({ ...elsewhere, path: "other.jsonl" }, folder, token);
  expect(hub.withToken).toHaveLength(1);
});

it("says neither signature nor password of an address that fails", async () => {
  const told = async (url: string) =>
    String(await fetchFile({ path: "x.jsonl", url }, folder, quick).catch((thrown: unknown) => thrown));
  const signed = await told(`${hub.url}/gone.jsonl?X-Amz-Signature=5ec2e7`);
  expect(signed).toContain("/gone.jsonl is not there");
  expect(signed).not.toContain("5ec2e7");
  const named = await told("https://me:5ec2e7@files.example/x.jsonl");
  expect(named).toContain("https://files.example/x.jsonl");
  expect(named).not.toContain("5ec2e7");
});

it("asks nobody for what is pinned", async () => {
  const pins = {
    schemaVersion: 1 as const,
    datasets: { "org/faq": { asked: { source: "hub" }, source: "modelscope", revision: "files-abc" } },
  };
  const pinned = await foundFor({ id: "org/faq", source: "hub" }, pins, access());
  expect(pinned).toEqual({ source: "modelscope", revision: "files-abc" });
  expect(hub.requests).toEqual([]);
});

it("never takes other files for a ModelScope list that was pinned", async () => {
  const revision = `files-${"0".repeat(40)}`;
  const asked = resolveHubDataset({ id: "org/faq", source: "modelscope", revision }, access());
  await expect(asked).rejects.toMatchObject({ code: "dataset-moved" });
});

describe("selectFiles", () => {
  const remote = (...paths: string[]) => paths.map((path) => ({ path, url: "" }));
  const chosen = (paths: string[], words: object = {}, card = "") =>
    selectFiles(remote(...paths), { id: "a/b", source: "huggingface", ...words }, card).map(({ path }) => path);

  it("takes the card's word, then the names'", () => {
    const card = "---\nconfigs:\n- config_name: zh\n  data_files:\n  - split: train\n    path: zh/*.parquet\n---\n";
    expect(chosen(["zh/0.parquet", "en/0.parquet"], {}, card)).toEqual(["zh/0.parquet"]);
    expect(chosen(["data/train-0.parquet", "data/test-0.parquet", "x.json"])).toEqual(["data/train-0.parquet"]);
    expect(chosen(["data-0.arrow", "state.json", "dataset_info.json"])).toEqual(["data-0.arrow"]);
    expect(chosen(["b.jsonl", "a.json", "valid.json"])).toEqual(["a.json", "b.jsonl"]);
    expect(chosen(["train.json", "test.json"], { split: "test" })).toEqual(["test.json"]);
    expect(chosen(["a/x.json", "b/y.json"], { folder: "b" })).toEqual(["b/y.json"]);
  });

  it("names what there is where nothing fits", () => {
    expect(() => chosen(["load.py", "data.tar"])).toThrow("it has load.py, data.tar");
  });
});

it("signs an s3 address for one file, and sends no key", async () => {
  const secret = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "very-secret", AWS_REGION: "eu-west-1" };
  const { url, path } = await remoteOf({ address: "s3://bucket/a b/train.jsonl", sha256: "0" }, secret);
  expect(path).toBe("train.jsonl");
  expect(url).toContain("https://bucket.s3.eu-west-1.amazonaws.com/a%20b/train.jsonl?");
  expect(url).toContain("X-Amz-Signature=");
  expect(url).not.toContain("very-secret");
  const open = await remoteOf(
    { address: "s3://bucket/x.json", sha256: "0" },
    { AWS_ENDPOINT_URL: "http://store:9000/" },
  );
  expect(open.url).toBe("http://store:9000/bucket/x.json");
});
