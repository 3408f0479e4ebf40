import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A safetensors file with tensors of the given names, 16 bytes each. */
export function safetensors(names: readonly string[], metadata: Record<string, string> = { format: "pt" }): Buffer {
  const tensors = names.map((name, index) => [
    name,
    { dtype: "F32", shape: [4], data_offsets: [index * 16, index * 16 + 16] },
  ]);
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(tensors) }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(names.length * 16, 7)]);
}

/** A folder with the files that a model needs, in two shards. No engine could load it; its form is right. */
export async function fakeModel(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const files: Record<string, string | Buffer> = {
    "config.json": JSON.stringify({ model_type: "qwen2" }),
    "tokenizer.json": JSON.stringify({ version: "1.0", model: {} }),
    "model-00001-of-00002.safetensors": safetensors(["embed", "layer.0"]),
    "model-00002-of-00002.safetensors": safetensors(["layer.1"]),
    "model.safetensors.index.json": JSON.stringify({
      metadata: {},
      weight_map: {
        embed: "model-00001-of-00002.safetensors",
        "layer.0": "model-00001-of-00002.safetensors",
        "layer.1": "model-00002-of-00002.safetensors",
      },
    }),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}
