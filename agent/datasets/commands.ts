import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { datasetRecord, type DatasetRecord, type FileDigest } from "../../recipe/lifecycle.ts";
import type { CommandInput } from "../../recipe/protocol.ts";
import type { DatasetEntry } from "../../recipe/sources.ts";
import type { Context, Handler } from "../context.ts";
import { isMissing, readRecord, sha256OfFile, writeJson } from "../files.ts";
import { buildOnce, completeFile } from "../folders.ts";
import { checkDatasetFile } from "./check.ts";
import { placeEntry } from "./place.ts";

type Input = CommandInput<"dataset-ensure">;

/** Puts the experiment's datasets and their dataset_info.json into one folder, checked. */
export const datasetEnsure: Handler<"dataset-ensure"> = async (input, context) => {
  const { dataDirectory, digest, entries } = input;
  const layout = layoutOf(dataDirectory);
  const path = `${layout.datasets}/${folderName(digest)}`;
  const expectedBytes = await bytesOf(entries);
  const { record } = await buildOnce(
    {
      path,
      lock: `${layout.locks}/datasets-${folderName(digest)}`,
      what: "the datasets",
      expectedBytes,
      read: async () => {
        const found = await readDataset(path);
        if (found?.damage !== undefined) context.log("warning", `${found.damage} The datasets are written again.`);
        return found?.damage === undefined ? found?.record : undefined;
      },
      build: (folder) => build(folder, input, context),
    },
    context,
  );
  return { path, record };
};

async function bytesOf(entries: readonly DatasetEntry[]): Promise<number> {
  const sizeOf = async (file: string): Promise<number> => (await stat(file).catch(() => ({ size: 0 }))).size;
  const sizes = entries.flatMap(({ inline, file, files, remote }): Promise<number>[] => {
    if (inline !== undefined) return [Promise.resolve(Buffer.byteLength(inline))];
    if (remote !== undefined) return remote.map(({ bytes }) => Promise.resolve(bytes ?? 0));
    return (files?.map((one) => one.file) ?? [file ?? ""]).map(sizeOf);
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The record of a dataset folder and the first file that is missing or differs. */
export const datasetRead: Handler<"dataset-read"> = async ({ dataDirectory, digest }) => {
  const path = `${layoutOf(dataDirectory).datasets}/${folderName(digest)}`;
  const found = await readDataset(path);
  return found === undefined ? null : { path, ...found };
};

/** 16 characters name a folder; a digest becomes a part of a path, so it must be nothing but hexadecimal. */
function folderName(digest: string): string {
  if (/^[0-9a-f]{16,64}$/.test(digest)) return digest.slice(0, 16);
  throw new Fault({
    code: "dataset-digest",
    message: `A digest must be hexadecimal, got ${JSON.stringify(digest)}.`,
    blame: "bug",
  });
}

async function readDataset(path: string): Promise<{ record: DatasetRecord; damage?: string } | undefined> {
  const record = await readRecord(join(path, completeFile), datasetRecord);
  if (record === undefined) return undefined;
  for (const file of record.files) {
    const damage = await damageOf(join(path, file.path), file);
    if (damage !== undefined) return { record, damage };
  }
  return { record };
}

async function damageOf(path: string, { bytes, sha256 }: FileDigest): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size !== bytes) return `${path} has ${size} bytes instead of ${bytes}.`;
    return (await sha256OfFile(path)) === sha256 ? undefined : `${path} was changed since it was prepared.`;
  } catch (thrown) {
    if (isMissing(thrown)) return `${path} is missing.`;
    throw thrown;
  }
}

async function build(folder: string, input: Input, context: Context): Promise<DatasetRecord> {
  let rows = 0;
  const names: string[] = [];
  const files: FileDigest[] = [];
  const registered: Record<string, unknown> = {};
  for (const entry of input.entries) {
    if (!/^[A-Za-z0-9_.-]+$/.test(entry.name) || entry.name.startsWith(".") || names.includes(entry.name)) {
      throw new Fault({
        code: "dataset-name",
        property: "datasets",
        message: `${JSON.stringify(entry.name)} can't name a dataset, or names two.`,
      });
    }
    context.progress({ message: `preparing the dataset ${entry.name}`, fraction: names.length / input.entries.length });
    const placed = await placeEntry(entry, folder, { ...input, context });
    files.push(...placed.files);
    for (const { path } of placed.files) {
      const options = { plainText: entry.plainText === true };
      rows += (await checkDatasetFile(join(folder, path), entry.info, undefined, options)).rows;
    }
    registered[entry.name] = { file_name: placed.fileName, ...entry.info };
    names.push(entry.name);
  }
  const info = join(folder, "dataset_info.json");
  await writeJson(info, registered);
  files.push({ path: "dataset_info.json", bytes: (await stat(info)).size, sha256: await sha256OfFile(info) });
  const { digest } = input;
  return { schemaVersion: 1, digest, completedAt: new Date().toISOString(), names, rows, files };
}
