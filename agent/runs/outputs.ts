import { lstat, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { FileDigest, RunManifest } from "../../recipe/lifecycle.ts";
import { digestsBelow, readRecord, sha256OfFile, writeJson } from "../files.ts";
import { verifyWeightsFolder } from "../weights/verify.ts";
import { isCheckpointPath } from "./checkpoints.ts";
import type { RunPaths } from "./paths.ts";

/** What is wrong with the result of a finished training, in a sentence; undefined if it can be served. */
export async function problemOf(output: string, artifact: "adapter" | "weights"): Promise<string | undefined> {
  if (artifact === "weights") return verifyWeightsFolder(output);
  if (!(await isJson(join(output, "adapter_config.json")))) return "adapter_config.json is missing or not JSON.";
  const problem = await tensorProblem(join(output, "adapter_model.safetensors"));
  return problem === undefined ? undefined : `adapter_model.safetensors ${problem}`;
}

async function isJson(path: string): Promise<boolean> {
  try {
    JSON.parse(await readFile(path, "utf8"));
    return true;
  } catch {
    return false;
  }
}

/** `__metadata__` has no offsets. */
const tensorHeader = z.record(z.string(), z.object({ data_offsets: z.tuple([z.number(), z.number()]).optional() }));

/** A safetensors file says in its header how long it is. */
async function tensorProblem(path: string): Promise<string | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return "is missing.";
  try {
    const { size } = await file.stat();
    const length = Buffer.alloc(8);
    if ((await file.read(length, 0, 8, 0)).bytesRead < 8) return "is empty.";
    const headerBytes = Number(length.readBigUInt64LE());
    if (headerBytes + 8 > size) return "is truncated.";
    const header = Buffer.alloc(headerBytes);
    await file.read(header, 0, headerBytes, 8);
    const tensors = tensorHeader.parse(JSON.parse(header.toString("utf8")));
    const ends = Object.values(tensors).map(({ data_offsets: offsets }) => offsets?.[1] ?? 0);
    const expected = 8 + headerBytes + Math.max(0, ...ends);
    return size === expected ? undefined : `has ${size} bytes, and its header says ${expected}.`;
  } catch {
    return "has no readable header.";
  } finally {
    await file.close();
  }
}

/**
 * Writes the run's manifest: the digests of its artifacts, after their bytes are on the disk. With it the run is complete. `guard`
 * is called right before, in the same turn.
 */
export async function writeManifest(
  paths: RunPaths,
  facts: Omit<RunManifest, "files">,
  guard: () => void,
): Promise<RunManifest> {
  const files = await digestsBelow(paths.output, (path) => !isCheckpointPath(path));
  const seen: Seen = {};
  for (const { path } of files) {
    const file = await open(join(paths.output, path), "r");
    await file.sync().finally(() => file.close());
    const { size, mtimeMs } = await lstat(join(paths.output, path));
    seen[path] = { bytes: size, mtimeMs };
  }
  await writeJson(paths.seen, seen, guard);
  const manifest = { ...facts, files };
  await writeJson(paths.manifest, manifest, guard);
  return manifest;
}

const seenFiles = z.record(z.string(), z.object({ bytes: z.number(), mtimeMs: z.number() }));
type Seen = z.infer<typeof seenFiles>;

/** What is wrong with the first artifact that differs from the manifest. Only files whose size or time changed are hashed again. */
export async function damageOf(paths: RunPaths, manifest: RunManifest): Promise<string | undefined> {
  const remembered = (await readRecord(paths.seen, seenFiles)) ?? {};
  const seen: Seen = { ...remembered };
  for (const file of manifest.files) {
    const damage = await damageOfFile(paths, file, seen);
    if (damage !== undefined) return damage;
  }
  // To remember is a favour to the next reader: a full disk is no damage.
  if (JSON.stringify(seen) !== JSON.stringify(remembered)) await writeJson(paths.seen, seen).catch(() => undefined);
  return undefined;
}

async function damageOfFile(paths: RunPaths, file: FileDigest, seen: Seen): Promise<string | undefined> {
  const whole = join(paths.output, file.path);
  const stats = await lstat(whole).catch(() => undefined);
  if (stats === undefined) return `output/${file.path} is missing.`;
  if (stats.size !== file.bytes) return `output/${file.path} has ${stats.size} bytes instead of ${file.bytes}.`;
  if (seen[file.path]?.mtimeMs === stats.mtimeMs) return undefined;
  if ((await sha256OfFile(whole)) !== file.sha256) return `output/${file.path} was changed.`;
  seen[file.path] = { bytes: stats.size, mtimeMs: stats.mtimeMs };
  return undefined;
}
