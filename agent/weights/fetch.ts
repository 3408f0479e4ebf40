import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import type { WeightsRecord } from "../../recipe/lifecycle.ts";
import type { CommandInput, CommandOutput } from "../../recipe/protocol.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import type { Context } from "../context.ts";
import { readRecord, writeJson } from "../files.ts";
import { buildOnce, completeFile, diskFullFault, type FolderPlan, formatBytes, freeBytes } from "../folders.ts";
import { type ExpectedFile, findMismatches } from "./mismatches.ts";
import { reportFolder } from "./progress.ts";
import {
  bytesOf,
  digestWeights,
  findDamage,
  lockOf,
  newRecord,
  readIntact,
  readWeights,
  weightsFolder,
} from "./record.ts";
import { requireWhole } from "./verify.ts";

/** A model as a hub or a bucket has it now. */
export interface Remote {
  /** As pinned: `huggingface`, `modelscope` or `s3`. */
  readonly source: string;
  /** For people: `Hugging Face`. */
  readonly name: string;
  /** A commit, or a hash of the list of files. */
  readonly revision: string;
  readonly files: readonly ExpectedFile[];
  /** Said before the download. */
  readonly announcement: string;
  /** Fills `folder`, going on where an earlier try ended. */
  download(folder: string, context: Context): Promise<void>;
}

const reference = z.object({ path: z.string() });

/**
 * Fetches a model once a revision. Weights that were fetched for the same words (source, id, revision), or for the pin, are taken again
 * without asking anybody, as long as they are whole: what a branch names today must not change an experiment that nobody changed, and it
 * works without a network.
 */
export async function ensureFetched(
  layout: Layout,
  { model, pin }: CommandInput<"weights-ensure">,
  find: () => Promise<Remote>,
  context: Context,
): Promise<CommandOutput<"weights-ensure">> {
  const words = JSON.stringify([model.source, model.id, model.revision ?? null]);
  const memory = `${layout.models}/references/${createHash("sha256").update(words).digest("hex").slice(0, 16)}.json`;
  const known =
    pin === undefined ? (await readRecord(memory, reference))?.path : weightsFolder(layout, model.id, pin.revision);
  const kept = known === undefined ? undefined : await readIntact(layout, known, context);
  if (known !== undefined && kept !== undefined) {
    return { path: known, record: kept, bytes: bytesOf(kept.files), created: false };
  }
  context.progress({ message: `asking for ${model.id}` });
  const remote = await find();
  context.log("info", remote.announcement);
  const path = weightsFolder(layout, model.id, remote.revision);
  const { record, created } = await buildOnce(fetchPlan(layout, { model, remote, path }, context), context);
  await writeJson(memory, { path });
  return { path, record, bytes: bytesOf(record.files), created };
}

function fetchPlan(
  layout: Layout,
  { model, remote, path }: { model: ModelSource; remote: Remote; path: string },
  context: Context,
): FolderPlan<WeightsRecord> {
  return {
    path,
    partial: `${path}.partial`,
    lock: lockOf(layout, path),
    what: `the model ${model.id}`,
    expectedBytes: bytesOf(remote.files),
    read: () => readIntact(layout, path, context),
    build: async (folder) => {
      await reuseWhole(layout, path, folder);
      await download(model, remote, folder, context);
      const files = await digestWeights(folder, folder);
      const mismatches = await findMismatches({ source: remote.name, files: remote.files, folder }, files);
      for (const { path: wrong } of mismatches) await rm(join(folder, wrong), { force: true });
      if (mismatches[0] !== undefined) throw mismatchFault(model, mismatches[0].how);
      await requireWhole(folder, model);
      // The client's notes on what it fetched: of use as long as something may have to be fetched again.
      await rm(join(folder, ".cache"), { recursive: true, force: true });
      return newRecord({ source: remote.source, id: model.id }, remote.revision, files);
    },
  };
}

async function download(model: ModelSource, remote: Remote, folder: string, context: Context): Promise<void> {
  const total = bytesOf(remote.files);
  if ((await freeBytes(folder)) < total / 20) throw await diskFullFault(model.id, folder, total);
  const stop = await reportFolder(folder, total, `downloading ${model.id} from ${remote.name}`, context);
  try {
    await remote.download(folder, context);
  } finally {
    stop();
  }
}

function mismatchFault(model: ModelSource, mismatch: string): Fault {
  return new Fault({
    code: "weights-hash",
    property: "model.id",
    message: `The download of ${model.id} is damaged: ${mismatch}. It was removed.`,
    next: "Run it again; if it repeats, a proxy or mirror (HF_ENDPOINT, MODELSCOPE_ENDPOINT) changes the files.",
    blame: "infrastructure",
  });
}

/** `7 files, 15.2 GB`. */
export function sizeOf(files: readonly ExpectedFile[]): string {
  return `${files.length} files, ${formatBytes(bytesOf(files))}`;
}

/** Damaged weights are mended: the files that are whole are not downloaded again. */
async function reuseWhole(layout: Layout, path: string, folder: string): Promise<void> {
  const record = await readWeights(layout, path);
  if (record === undefined) return;
  for (const file of record.files) {
    const target = join(folder, file.path);
    if (existsSync(target) || (await findDamage(layout, path, { ...record, files: [file] })) !== undefined) continue;
    await mkdir(dirname(target), { recursive: true });
    await rename(join(path, file.path), target);
  }
  await rm(join(path, completeFile));
}
