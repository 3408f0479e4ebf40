import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { datasetEnsure, datasetRead } from "../../../agent/datasets/commands.ts";
import { listen } from "../context.ts";

let home: string;
beforeEach(async () => (home = await mkdtemp(join(tmpdir(), "tuneup-home-"))));
afterEach(() => rm(home, { recursive: true }));

const digest = "0123456789abcdef".repeat(4);
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const text = '[{"instruction":"a","input":"","output":"b"}]\n';
const lines = '{"q":"a","a":"b"}\n{"q":"c","a":"d"}\n';

async function entries() {
  const file = join(home, "mine.jsonl");
  await writeFile(file, lines);
  return [
    { name: "identity", info: {}, sha256: sha256(text), extension: "json" as const, inline: text },
    {
      name: "mine",
      info: { columns: { prompt: "q", response: "a" } },
      sha256: sha256(lines),
      extension: "jsonl" as const,
      file,
    },
  ];
}

it("makes a folder that LLaMA-Factory takes as dataset_dir", async () => {
  const { path, record } = await datasetEnsure({ dataDirectory: home, digest, entries: await entries() }, listen());
  expect(path).toBe(join(home, "datasets", "0123456789abcdef"));
  expect(record).toMatchObject({ names: ["identity", "mine"], rows: 3 });
  expect(JSON.parse(await readFile(join(path, "dataset_info.json"), "utf8"))).toEqual({
    identity: { file_name: "identity.json" },
    mine: { file_name: "mine.jsonl", columns: { prompt: "q", response: "a" } },
  });
  expect((await stat(join(path, "mine.jsonl"))).ino).not.toBe((await stat(join(home, "mine.jsonl"))).ino);
});

it("does nothing the second time, and one of two at once does the work", async () => {
  const input = { dataDirectory: home, digest, entries: await entries() };
  const [first, second] = await Promise.all([datasetEnsure(input, listen()), datasetEnsure(input, listen())]);
  expect(second).toEqual(first);
  const { mtimeMs } = await stat(join(first.path, ".complete"));
  await datasetEnsure(input, listen());
  expect((await stat(join(first.path, ".complete"))).mtimeMs).toBe(mtimeMs);
  expect(await readdir(join(home, "datasets"))).toEqual(["0123456789abcdef"]);
});

it("names the damage and mends it", async () => {
  const input = { dataDirectory: home, digest, entries: await entries() };
  const { path } = await datasetEnsure(input, listen());
  await writeFile(join(path, "mine.jsonl"), lines.toUpperCase());
  expect((await datasetRead({ dataDirectory: home, digest }, listen()))?.damage).toContain("mine.jsonl was changed");
  await rm(join(path, "identity.json"));
  expect((await datasetRead({ dataDirectory: home, digest }, listen()))?.damage).toContain("identity.json is missing");
  await datasetEnsure(input, listen());
  const mended = await datasetRead({ dataDirectory: home, digest }, listen());
  expect(mended?.damage).toBeUndefined();
});

it("refuses bytes that are not the promised ones and leaves nothing", async () => {
  const [identity, mine] = await entries();
  await writeFile(mine!.file!, `${lines}{"q":"e","a":"f"}\n`);
  const input = { dataDirectory: home, digest, entries: [identity!, mine!] };
  await expect(datasetEnsure(input, listen())).rejects.toMatchObject({ code: "dataset-changed" });
  await rm(mine!.file!);
  await expect(datasetEnsure(input, listen())).rejects.toMatchObject({ code: "dataset-missing" });
  expect(await readdir(join(home, "datasets"))).toEqual([]);
  expect(await datasetRead({ dataDirectory: home, digest }, listen())).toBeNull();
});

it("removes what a killed process left and a folder without its record", async () => {
  const folder = join(home, "datasets", "0123456789abcdef");
  await mkdir(`${folder}.tmp-99999-dead`, { recursive: true });
  await mkdir(folder);
  await writeFile(join(folder, "half.json"), "[");
  await datasetEnsure({ dataDirectory: home, digest, entries: await entries() }, listen());
  expect(await readdir(join(home, "datasets"))).toEqual(["0123456789abcdef"]);
  expect(await readdir(folder)).not.toContain("half.json");
});

it.each(["../../etc", "0123", "0123456789ABCDEFG"])("refuses %s as a digest: it becomes a path", async (bad) => {
  await expect(datasetRead({ dataDirectory: home, digest: bad }, listen())).rejects.toMatchObject({
    code: "dataset-digest",
  });
});

it("leaves nothing on a disk that is too small, and says so", async ({ skip }) => {
  skip(process.platform !== "linux" || process.getuid?.() !== 0, "needs root on Linux, to mount a small disk");
  const disk = join(home, "disk");
  await mkdir(disk);
  await execa("mount", ["-t", "tmpfs", "-o", "size=300k", "tmpfs", disk]);
  try {
    const file = join(home, "large.jsonl");
    const large = '{"instruction":"a","input":"","output":"b"}\n'.repeat(20_000);
    await writeFile(file, large);
    const entry = { name: "large", info: {}, sha256: sha256(large), extension: "jsonl" as const, file };
    const input = { dataDirectory: disk, digest, entries: [entry] };
    await expect(datasetEnsure(input, listen())).rejects.toMatchObject({
      code: "disk-full",
      message: expect.stringContaining("too full for the datasets: it needs 880 KB") as string,
    });
    expect(await readdir(join(disk, "datasets"))).toEqual([]);
  } finally {
    await execa("umount", [disk]);
  }
});
