import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { sha256OfFile } from "../../../agent/files.ts";
import { collectWheels, type WheelQuestion } from "../../../provider/wheels/collect.ts";
import type { WheelTarget } from "../../../provider/wheels/target.ts";
import { listen } from "../../agent/context.ts";
import { until } from "../../agent/runs/harness.ts";
import { type PackageIndex, packageIndex, sha256Of } from "../../fixtures/package-index.ts";

const bytesOf = (name: string): Buffer => Buffer.from(name.repeat(2000));
const names = {
  any: "plain-1.0-py3-none-any.whl",
  plainSource: "plain-1.0.tar.gz",
  cp311: "fast_one-2.0-cp311-cp311-manylinux_2_28_x86_64.whl",
  cp312: "fast_one-2.0-cp312-cp312-manylinux_2_28_x86_64.whl",
  arm: "fast_one-2.0-cp312-cp312-manylinux_2_28_aarch64.whl",
  other: "fast_one-2.1-cp312-cp312-manylinux_2_28_x86_64.whl",
  source: "old-0.1.tar.gz",
  torch: "torch-9.0-cp312-cp312-manylinux_2_28_x86_64.whl",
  torch311: "torch-9.0-cp311-cp311-manylinux_2_28_x86_64.whl",
  uv: "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
};
const files = Object.fromEntries(Object.values(names).map((name) => [name, bytesOf(name)]));
const pin = (requirement: string, ...of: string[]): string =>
  [requirement, ...of.map((name) => `    --hash=sha256:${sha256Of(bytesOf(name))}`)].join(" \\\n");

const locks = vi.hoisted((): Record<string, string> => ({}));
vi.mock("../../../agent/assets.ts", () => ({ asset: (path: string) => locks[path] ?? "" }));
Object.assign(locks, {
  "agent/environment/base.lock": [
    "# Compiled.",
    pin("fast-one==2.0 ; python_full_version >= '3.11'", names.cp311, names.cp312, names.arm),
    pin("old==0.1", names.source),
    pin("plain==1.0", names.any, names.plainSource),
    pin("windows==1 ; sys_platform == 'win32'", names.any),
  ].join("\n"),
  "agent/environment/torch.lock": `${pin("torch==9.0", names.torch, names.torch311)}\ntorchaudio==0 ; sys_platform == 'never'\n`,
  "agent/environment/uv.lock": pin("uv==0.13.9", names.uv),
});

let root: string;
let index: PackageIndex;
const debian: WheelTarget = { minor: 12, python: "3.12.1", machine: "x86_64", glibc: 36 };
const onGpu = (): WheelQuestion => ({ target: debian, driver: "580.65.06", extras: [], home: join(root, "home") });
const sources = () => ({ index: index.index, torch: `${index.index}none/`, isFlat: true, pauseMs: 1 });
const collect = (question = onGpu(), context = listen()) => collectWheels(question, context, sources());

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-wheels-"));
  index = await packageIndex(files);
  vi.stubEnv("PATH", join(root, "nothing"));
  vi.stubEnv("XDG_DATA_HOME", root);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await index.close();
  await rm(root, { recursive: true });
});

it("fetches one file of every package that belongs on the host, and uv, once", async () => {
  const context = listen();
  const { folder, files: got } = await collect(onGpu(), context);
  expect(got.map(({ path }) => path)).toEqual([names.cp312, names.source, names.any, names.uv, names.torch]);
  for (const { path, bytes, sha256 } of got) {
    expect({ bytes, sha256 }).toEqual({ bytes: bytesOf(path).length, sha256: await sha256OfFile(join(folder, path)) });
  }
  expect(context.progressed.map(({ message }) => message).join()).toMatch(/fetching packages for the host/);
  const asked = index.asked.length;
  expect(await collect()).toEqual({ folder, files: got });
  expect(index.asked).toHaveLength(asked);
});

it("fetches other files for another Python, and keeps both", async () => {
  const { folder } = await collect();
  const older = await collect({ ...onGpu(), target: { ...debian, minor: 11, python: "3.11.2" } });
  expect(older.files.map(({ path }) => path)).toEqual([names.cp311, names.source, names.any, names.uv, names.torch311]);
  expect(older.folder).not.toBe(folder);
  expect(existsSync(join(folder, names.cp312))).toBe(true);
});

it("reads the older pages of an index, in HTML, as well", async () => {
  await index.close();
  index = await packageIndex(files, { html: true });
  const { files: got } = await collect();
  expect(got.map(({ path }) => path)).toEqual([names.cp312, names.source, names.any, names.uv, names.torch]);
});

/** How much of a file an unfinished folder of wheels has. */
async function bytesOnDisk(name: string): Promise<number> {
  const wheels = join(root, "home/cache/wheels");
  const [partial = ""] = await readdir(wheels).catch(() => []);
  const files = (await readdir(join(wheels, partial)).catch(() => [])).filter((file) => file.startsWith(name));
  return Math.max(0, ...(await Promise.all(files.map(async (file) => (await stat(join(wheels, partial, file))).size))));
}

it("goes on where a download was cut, and where this machine was stopped", async () => {
  index.cut(names.torch, 5000);
  const aborted = new AbortController();
  // It comes no further than that before this machine is stopped, and something of it is on the disk then.
  const stall = (): void => index.cut(names.cp312, 1, stall);
  index.cut(names.cp312, 3000, () => {
    stall();
    void until(async () => (await bytesOnDisk(names.cp312)) > 0).then(() => aborted.abort());
  });
  await expect(collect(onGpu(), listen(aborted.signal))).rejects.toThrow();
  const left = await readdir(join(root, "home/cache/wheels"));
  expect(left).toHaveLength(1);
  expect(left[0]).toMatch(/-cp312-manylinux_2_36_x86_64-pypi\.partial$/);
  const before = index.asked.length;
  index.cut(names.cp312, Infinity);
  const { folder, files: got } = await collect();
  const ranges = index.asked.slice(before).filter((line) => line.startsWith(`/files/${names.cp312}`));
  expect(ranges).toEqual([expect.stringMatching(/ bytes=[1-9]\d*-$/)]);
  for (const { path, sha256 } of got) expect(await sha256OfFile(join(folder, path)), path).toBe(sha256);
  expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  expect(await readdir(join(root, "home/cache/wheels"))).toEqual([folder.split("/").at(-1)]);
});

it("refuses other bytes than the lock's, and keeps none of them", async () => {
  index.serve(names.any, Buffer.from("x".repeat(bytesOf(names.any).length)));
  await expect(collect()).rejects.toMatchObject({
    code: "package-hash",
    message: expect.stringContaining(names.any) as string,
  });
  const [partial = ""] = await readdir(join(root, "home/cache/wheels"));
  const there = await readdir(join(root, "home/cache/wheels", partial));
  expect(there.filter((name) => name.startsWith(names.any))).toEqual([]);
  index.serve(names.any, bytesOf(names.any));
  expect((await collect()).files).toHaveLength(5);
});

it("says which package an index lacks, and for which host", async () => {
  const musty = { ...onGpu(), target: { ...debian, glibc: 17 } };
  await expect(collect(musty)).rejects.toMatchObject({
    code: "wheel-missing",
    message: expect.stringMatching(/fast-one 2\.0 .* Python 3\.12, x86_64 and glibc 2\.17/) as string,
  });
});

it("says so where this machine does not reach the index either", async () => {
  await index.close();
  await expect(collect()).rejects.toMatchObject({ code: "index-unreachable", blame: "infrastructure" });
  index = await packageIndex({});
});

it("fetches again what was removed or cut short in the cache", async () => {
  const { folder } = await collect();
  await truncate(join(folder, names.torch), 10);
  await collect();
  expect(await readFile(join(folder, names.torch))).toEqual(bytesOf(names.torch));
});

it("takes PyPI's torch for a CPU where PyTorch's build is not found, and says so", async () => {
  const context = listen();
  const { files: got } = await collect({ ...onGpu(), driver: undefined }, context);
  expect(got.map(({ path }) => path)).toContain(names.torch);
  expect(context.logged.join()).toMatch(/build cpu of torch could not be found .* PyPI's is taken/);
});

it("refuses a driver that only PyTorch's older build runs on where that is not found", async () => {
  await expect(collect({ ...onGpu(), driver: "550.54.15" })).rejects.toMatchObject({
    code: "driver-too-old",
    message: expect.stringMatching(
      /driver 550\.54\.15 is too old .* build cu126 of torch could not be found/,
    ) as string,
  });
});
