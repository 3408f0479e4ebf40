import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { environmentEnsure, environmentRead } from "../../../agent/environment/commands.ts";
import { engineDigest } from "../../../agent/environment/identity.ts";
import { nvidiaHardware } from "../../../agent/environment/nvidia-hardware.ts";
import { requirePython } from "../../../agent/environment/python.ts";
import { requireCompiler } from "../../../agent/environment/self-test.ts";
import { preflight } from "../../../agent/preflight.ts";
import { childEnvironment } from "../../../agent/processes.ts";
import { engineLock, engineSet } from "../../../hosts/engine-lock.ts";
import { runRemote } from "../../../hosts/remote-command.ts";
import type { RemoteLink } from "../../../hosts/remote-link.ts";
import { engineFacts } from "../../../recipe/engines.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import { listen } from "../context.ts";
import { type FakeTools, makeFakeTools } from "./fake-tools.ts";

vi.mock("../../../agent/environment/nvidia-hardware.ts");

const set = engineSet("vllm");
const selfTest = { torch: "2.8.0+cu128", cuda: "12.8", transformers: "4.57.6", deviceName: "NVIDIA Test 9000" };

/** uv, Python and nvidia-smi are stand-ins: the real environment has 10 GB. */
let root: string;
let home: string;
let tools: FakeTools;
let python: string;
beforeEach(async () => {
  python = (await requirePython()).path;
  root = await mkdtemp(join(tmpdir(), "tuneup-engine-"));
  home = join(root, "home");
  tools = await makeFakeTools(root);
  vi.stubEnv("PATH", tools.bin);
  vi.stubEnv("CUDA_VISIBLE_DEVICES", undefined);
  vi.mocked(nvidiaHardware).mockResolvedValue([]);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const input = () => ({ dataDirectory: home, device: "cuda" as const, engine: set });
const installs = async () =>
  (await tools.calls()).filter((call) => call[1] === "install" && !call.includes("--dry-run"));

describe("the lock", () => {
  const entries = set.lock.split(/\n(?=[a-z])/).slice(1);

  it("has every package with hashes, vLLM and its torch among them", () => {
    expect(entries.length).toBeGreaterThan(150);
    for (const entry of entries) expect(entry).toMatch(/--hash=sha256:[0-9a-f]{64}/);
    const pins = entries.map((entry) => /^\S+/.exec(entry)?.[0]);
    expect(pins).toEqual(expect.arrayContaining([engineFacts.vllm.package.replace(" ", "=="), "llamafactory==0.9.5"]));
    expect(pins).toContain("torch==2.8.0");
    expect(pins.find((pin) => pin?.startsWith("transformers=="))).toMatch(/==4\./);
  });

  it("is too large for the agent, which does not carry it", async () => {
    const bundled = await readFile(new URL("../../../scripts/build.ts", import.meta.url), "utf8");
    expect(bundled).not.toContain("agent/environment/engines");
    expect(set.lock.length).toBeGreaterThan(400_000);
  });

  it("names the environment: another lock is another one", () => {
    expect(engineLock("vllm")).toBe(engineDigest(set.lock));
    expect(engineDigest(`${set.lock}\n`)).not.toBe(engineLock("vllm"));
  });
});

describe("its environment", () => {
  it("is made of the lock that came with the command alone, and found by it", async () => {
    await tools.behave({ driver: "580.65.06", selfTest });
    const { path, record, created } = await environmentEnsure(input(), listen());
    expect({ path, created }).toEqual({ path: `${home}/env/${engineLock("vllm").slice(0, 12)}-cuda`, created: true });
    expect(record).toMatchObject({ lock: engineLock("vllm"), device: "cuda", torchSource: "pypi" });
    expect(await readFile(`${path}/vllm.lock`, "utf8")).toBe(set.lock);
    const [install = [], ...more] = await installs();
    expect(more).toEqual([]);
    expect(install).toEqual(expect.arrayContaining(["--no-build", "--no-deps", "--require-hashes"]));
    expect(install.filter((word) => word.endsWith(".lock")).map((file) => file.split("/").at(-1))).toEqual([
      "vllm.lock",
    ]);
    expect((await environmentEnsure(input(), listen())).created).toBe(false);
    expect((await environmentRead({ dataDirectory: home, lock: engineLock("vllm") }, listen()))?.path).toBe(path);
    const asked = { dataDirectory: home, engineLock: engineLock("vllm") };
    expect(await preflight(asked, listen())).toMatchObject({ environment: null, engineEnvironment: record });
  });

  it("lies beside the one that trains, which stays what it was", async () => {
    await tools.behave({ driver: "580.65.06", selfTest });
    const trains = await environmentEnsure({ dataDirectory: home, device: "cuda" }, listen());
    await environmentEnsure(input(), listen());
    expect(await readdir(`${home}/env`)).toHaveLength(2);
    expect((await environmentEnsure({ dataDirectory: home, device: "cuda" }, listen())).path).toBe(trains.path);
    expect((await preflight({ dataDirectory: home }, listen())).engineEnvironment).toBeUndefined();
  });

  it.each([
    ["no GPU", {}, "engine-needs-cuda"],
    ["a driver that is too old", { driver: "470.256.02" }, "engine-driver-too-old"],
  ])("is refused with %s before anything is fetched", async (_what, settings, code) => {
    await tools.behave(settings);
    await expect(environmentEnsure(input(), listen())).rejects.toMatchObject({ code, property: "serve.engine" });
    expect(await tools.calls()).toEqual([]);
  });

  it("is made where no GPU is for one that another Pod has", async () => {
    const { record } = await environmentEnsure({ ...input(), elsewhere: true }, listen());
    expect(record).toMatchObject({ device: "cuda", lock: engineLock("vllm") });
  });

  it("tells a GPU that its torch can't use, and what to serve with instead", async () => {
    await tools.behave({ driver: "535.183.01", selfTest: { ...selfTest, unusable: "CUDA unknown error" } });
    await expect(environmentEnsure(input(), listen())).rejects.toMatchObject({
      ...{ code: "cuda-unusable", property: "serve.engine" },
      next: "Update the NVIDIA driver, or set `tuneup:serve.engine: huggingface`.",
    });
    expect(await readdir(`${home}/env`)).toEqual([]);
  });
});

it("reaches an agent on another machine whole", async () => {
  await tools.behave({ driver: "580.65.06", selfTest });
  const env = { ...childEnvironment(), PATH: tools.bin };
  const agent = fileURLToPath(new URL("../../../agent/main.ts", import.meta.url));
  const start = ([node = "", ...words]: readonly string[]) => spawn(node, words, { env });
  const link = { start, isLost: () => false } as unknown as RemoteLink;
  const { path } = await runRemote(link, { node: process.execPath, agent }, "environment-ensure", input(), {});
  expect(await readFile(`${path}/vllm.lock`, "utf8")).toBe(set.lock);
});

describe("a compiler", () => {
  const ask = () => {
    vi.stubEnv("PATH", join(root, "compilers"));
    return requireCompiler("vllm", { layout: layoutOf(home), python }, listen());
  };
  const compiler = async (text: string) => {
    await mkdir(join(root, "compilers"));
    await writeFile(join(root, "compilers/gcc"), `#!/bin/sh\n${text}\n`);
    await chmod(join(root, "compilers/gcc"), 0o755);
  };

  it("that is missing is told before anything is fetched", async () => {
    await expect(ask()).rejects.toMatchObject({
      ...{ code: "compiler-missing", property: "serve.engine" },
      message: expect.stringContaining("neither gcc nor clang is on PATH") as string,
      next: expect.stringContaining("apt install gcc python3-dev") as string,
    });
  });

  it("without Python's headers is told by its own words", async () => {
    await compiler('echo "probe.c:1:10: fatal error: Python.h: No such file or directory" >&2; exit 1');
    await expect(ask()).rejects.toThrow("fatal error: Python.h: No such file or directory");
  });

  it("that works is enough", async () => {
    await compiler("exit 0");
    await expect(ask()).resolves.toBeUndefined();
  });
});
