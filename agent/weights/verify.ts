import { open, readFile, readdir, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import type { ModelSource } from "../../recipe/sources.ts";
import { formatBytes } from "../folders.ts";
import { isMissing } from "../files.ts";

const index = z.object({ weight_map: z.record(z.string(), z.string()) });
const header = z.record(z.string(), z.unknown());
const tensor = z.object({ data_offsets: z.tuple([z.number(), z.number()]) });

/** safetensors refuses larger headers itself. */
const largestHeader = 100_000_000;

const tokenizerFiles = [["tokenizer.json"], ["tokenizer.model"], ["vocab.json", "merges.txt"], ["vocab.txt"]];

/**
 * What is wrong with a folder of weights, in a sentence that names the file; undefined if nothing is. Reads headers only: some
 * milliseconds. A folder is right with config.json, a tokenizer, and every safetensors shard of the index, whole; `allowPickle`
 * names the pickle files that may be there instead of safetensors.
 */
export async function verifyWeightsFolder(
  folder: string,
  allowPickle: readonly string[] = [],
): Promise<string | undefined> {
  if (!isAbsolute(folder)) return `${folder} must be an absolute path.`;
  const names = await readdir(folder).catch(
    (thrown: unknown) => (thrown as NodeJS.ErrnoException).code ?? "unreadable",
  );
  if (names === "ENOENT") return `There is no folder ${folder}.`;
  if (names === "ENOTDIR") return `${folder} is a file; it must be a folder with config.json and safetensors files.`;
  if (typeof names === "string") return `The folder ${folder} can't be read (${names}).`;
  return (
    (await wrongConfig(folder, names)) ??
    (await wrongTokenizer(folder, names)) ??
    (await wrongShards(folder, names, allowPickle))
  );
}

async function wrongConfig(folder: string, names: readonly string[]): Promise<string | undefined> {
  if (names.includes("adapter_config.json") && !names.includes("config.json")) {
    return `${folder} holds an adapter (adapter_config.json), not a model.`;
  }
  if (!names.includes("config.json")) return `${folder} has no config.json.`;
  const config = await readJson(join(folder, "config.json"), z.looseObject({ model_type: z.string() }));
  return typeof config === "string" ? config : undefined;
}

async function wrongTokenizer(folder: string, names: readonly string[]): Promise<string | undefined> {
  const present = tokenizerFiles.find((files) => files.every((file) => names.includes(file)));
  if (present === undefined) {
    if (names.some((name) => name.endsWith(".tiktoken"))) return undefined;
    return `${folder} has no tokenizer (tokenizer.json, tokenizer.model, or vocab.json with merges.txt).`;
  }
  for (const file of present) {
    const said = file.endsWith(".json")
      ? await readJson(join(folder, file), z.record(z.string(), z.unknown()))
      : await pointerAt(join(folder, file));
    if (typeof said === "string") return said;
  }
  return undefined;
}

async function wrongShards(
  folder: string,
  names: readonly string[],
  allowPickle: readonly string[],
): Promise<string | undefined> {
  if (names.includes("model.safetensors.index.json")) {
    const read = await readJson(join(folder, "model.safetensors.index.json"), index);
    if (typeof read === "string") return read;
    const tensors = Object.groupBy(Object.entries(read.weight_map), ([, shard]) => shard);
    for (const [shard, expected = []] of Object.entries(tensors)) {
      const wrong = await wrongShard(
        join(folder, shard),
        expected.map(([name]) => name),
      );
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
  if (names.includes("model.safetensors")) return wrongShard(join(folder, "model.safetensors"), []);
  const shards = names.filter((name) => /^model-\d+-of-\d+\.safetensors$/.test(name)).toSorted();
  for (const name of shards) {
    const wrong = await pointerAt(join(folder, name));
    if (wrong !== undefined) return wrong;
  }
  if (names.some((name) => /\.(bin|pt|pth|ckpt)$/.test(name))) return wrongPickle(folder, names, allowPickle);
  if (names.some((name) => name.endsWith(".gguf"))) {
    return `${folder} has only GGUF weights, which can't be trained; take the model's safetensors files.`;
  }
  const [shard] = shards;
  if (shard !== undefined) return `${folder} has ${shard} but no model.safetensors.index.json.`;
  return `${folder} has no safetensors weights (model.safetensors or model.safetensors.index.json).`;
}

/** Pickle has no header to check: that all its files are there, are no pointers, and are allowed by name. */
async function wrongPickle(
  folder: string,
  names: readonly string[],
  allowed: readonly string[],
): Promise<string | undefined> {
  let weights: string[] = names.includes("pytorch_model.bin") ? ["pytorch_model.bin"] : [];
  if (names.includes("pytorch_model.bin.index.json")) {
    const read = await readJson(join(folder, "pytorch_model.bin.index.json"), index);
    if (typeof read === "string") return read;
    weights = [...new Set(Object.values(read.weight_map))].toSorted();
  }
  const refused = weights.find((name) => !allowed.includes(name));
  if (refused !== undefined || weights.length === 0) {
    const named = refused ?? names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name)) ?? "";
    return `${folder} has only pickle weights (${named}), which can run code when they are loaded; convert them to safetensors, or, if you trust them, name each file in \`model.allowPickle\`.`;
  }
  for (const name of weights) {
    if (!names.includes(name)) return `${join(folder, name)} is missing.`;
    const wrong = await pointerAt(join(folder, name));
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** What is wrong with one safetensors file that shall hold the tensors `expected`. */
async function wrongShard(path: string, expected: readonly string[]): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    if (isMissing(thrown)) return `${path} is missing.`;
    return `${path} can't be read (${(thrown as NodeJS.ErrnoException).code ?? "unreadable"}).`;
  }
  try {
    const { size } = await file.stat();
    const start = Buffer.alloc(8);
    await file.read(start, 0, 8, 0);
    if (start.toString("latin1") === "version ") return pointer(path);
    const length = size < 8 ? Infinity : Number(start.readBigUInt64LE());
    if (length > size - 8) return `${path} is truncated: ${formatBytes(size)} do not even hold its header.`;
    if (length > largestHeader) return `${path} is not a safetensors file.`;
    const text = Buffer.alloc(length);
    await file.read(text, 0, length, 8);
    return wrongHeader(path, text.toString("utf8"), size - 8 - length, expected);
  } finally {
    await file.close();
  }
}

function wrongHeader(path: string, text: string, dataBytes: number, expected: readonly string[]): string | undefined {
  const tensors = parse(text, header);
  if (tensors === undefined) return `${path} is not a safetensors file: its header is not JSON.`;
  let end = 0;
  for (const [name, described] of Object.entries(tensors)) {
    if (name === "__metadata__") continue;
    const read = tensor.safeParse(described);
    if (!read.success) return `${path} is not a safetensors file: ${name} has no data_offsets.`;
    end = Math.max(end, read.data.data_offsets[1]);
  }
  if (dataBytes < end) {
    return `${path} is truncated: it has ${dataBytes} of the ${end} bytes of tensors that its header names.`;
  }
  if (dataBytes > end) return `${path} has ${dataBytes - end} bytes more than its header names.`;
  const lacking = expected.find((name) => !(name in tensors));
  return lacking === undefined ? undefined : `${path} lacks the tensor ${lacking}, which the index says is in it.`;
}

function parse<S extends z.ZodType>(text: string, schema: S): z.output<S> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The JSON at `path`, or what is wrong with it. */
async function readJson<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S> | string> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => (thrown as NodeJS.ErrnoException).code);
  if (text === undefined || /^E[A-Z]+$/.test(text)) return `${path} can't be read (${text ?? "unreadable"}).`;
  if (text.startsWith("version https://git-lfs")) return pointer(path);
  return (
    parse(text, schema) ?? `${path} is not what it should be (${text === "" ? "empty" : "torn or of another format"}).`
  );
}

async function pointerAt(path: string): Promise<string | undefined> {
  const { size } = await stat(path);
  if (size > 1024) return undefined;
  return (await readFile(path, "utf8")).startsWith("version https://git-lfs") ? pointer(path) : undefined;
}

function pointer(path: string): string {
  return `${path} is a Git LFS pointer, not the file itself: run \`git lfs pull\` in its folder.`;
}

/** The check that a user's own folder gets, for one that we filled: a package or hub may hold anything. */
export async function requireWhole(folder: string, { allowPickle }: ModelSource): Promise<void> {
  const wrong = await verifyWeightsFolder(folder, allowPickle);
  if (wrong === undefined) return;
  throw new Fault({ code: "weights-invalid", property: "model.id", message: wrong, next: "Choose another model." });
}
