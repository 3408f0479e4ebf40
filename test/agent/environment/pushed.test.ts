import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { environmentEnsure } from "../../../agent/environment/commands.ts";
import { ensureUv } from "../../../agent/environment/uv.ts";
import { usage } from "../../../agent/housekeeping.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import { listen } from "../context.ts";
import { type FakeTools, makeFakeTools } from "./fake-tools.ts";

/** What the agent makes of packages that were pushed; uv is a stand-in (the real one: test/faults/ssh-environment.test.ts). */
let root: string;
let home: string;
let wheels: string;
let tools: FakeTools;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-pushed-"));
  home = join(root, "home");
  wheels = join(home, "wheels", "of-a-lock");
  await mkdir(wheels, { recursive: true });
  await writeFile(join(wheels, "a-1-py3-none-any.whl"), "a wheel");
  tools = await makeFakeTools(root);
  vi.stubEnv("PATH", tools.bin);
  vi.stubEnv("CUDA_VISIBLE_DEVICES", undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const ensure = (folder = wheels) => environmentEnsure({ dataDirectory: home, device: "cpu", wheels: folder }, listen());

describe("pushed packages", () => {
  it("are all that uv is given, by their hashes, and are gone when the environment is there", async () => {
    const { record, created } = await ensure();
    expect({ created, torchSource: record.torchSource }).toEqual({ created: true, torchSource: "pypi" });
    const calls = (await tools.calls()).filter((call) => call.includes("install"));
    expect(calls.length).toBeGreaterThan(1);
    for (const call of calls) {
      expect(call).toEqual(
        expect.arrayContaining(["--offline", "--no-index", "--find-links", wheels, "--require-hashes", "--no-deps"]),
      );
    }
    expect(await readdir(join(home, "wheels"))).toEqual([]);
  });

  it("bring the lock of another build of torch, where they have one", async () => {
    await writeFile(join(wheels, "torch.lock"), "torch==2.13.0+cpu --hash=sha256:00\n");
    expect((await ensure()).record.torchSource).toBe("cpu");
    const [install] = (await tools.calls()).filter((call) => call.includes("--quiet") && call.includes("install"));
    expect(install).toContain(join(wheels, "torch.lock"));
    expect(install?.filter((word) => word.endsWith("torch.lock"))).toHaveLength(1);
  });

  it("stay for the next try where the install fails", async () => {
    await tools.behave({ install: "disk-full" });
    await expect(ensure()).rejects.toMatchObject({ code: "disk-full" });
    expect(await readdir(wheels)).toContain("a-1-py3-none-any.whl");
    const used = await usage({ dataDirectory: home, experiment: "x" }, listen());
    expect(used.map(({ what }) => what)).toContain("pushed packages (shared)");
  });

  it("that are gone are no fault where the environment is there, as after an answer that was lost", async () => {
    await ensure();
    expect((await ensure()).created).toBe(false);
  });

  it("that are gone too early are told, and nothing is fetched in their place", async () => {
    await rm(wheels, { recursive: true });
    await expect(ensure()).rejects.toMatchObject({ code: "file-missing" });
    expect((await tools.calls()).filter((call) => call.includes("install"))).toEqual([]);
  });

  it("are taken from, and deleted in, the folder for them alone", async () => {
    for (const folder of [
      "/etc",
      home,
      join(home, "wheels"),
      `${home}/wheels/..`,
      `${home}/wheels/../env`,
      `${home}/wheels/a/b`,
    ]) {
      await expect(ensure(folder), folder).rejects.toMatchObject({ code: "path-outside" });
    }
    expect(existsSync(wheels)).toBe(true);
  });

  it("have uv among them, which is never run with another hash than the pinned one", async () => {
    vi.stubEnv("PATH", root);
    const python = { path: join(root, "python3"), version: "3.12.1" };
    await writeFile(python.path, "#!/bin/sh\nexit 1\n");
    await chmod(python.path, 0o755);
    await expect(ensureUv(layoutOf(home), python, listen(), wheels)).rejects.toThrow(/no wheel of uv 0\.13\.9 in/);
    const machine = process.arch === "arm64" ? (process.platform === "darwin" ? "arm64" : "aarch64") : "x86_64";
    const system = process.platform === "darwin" ? "macosx_11_0" : "manylinux_2_28";
    await writeFile(join(wheels, `uv-0.13.9-py3-none-${system}_${machine}.whl`), "not the wheel that we pinned");
    await expect(ensureUv(layoutOf(home), python, listen(), wheels)).rejects.toMatchObject({
      code: "uv-missing",
      message: expect.stringMatching(/by the pushed wheel: .* which is not the pinned one/) as string,
    });
    expect(await readdir(layoutOf(home).tools)).toEqual([]);
  });
});
