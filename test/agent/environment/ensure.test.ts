import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, watch } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { environmentEnsure, environmentRead } from "../../../agent/environment/commands.ts";
import { environmentLock } from "../../../agent/environment/identity.ts";
import { nvidiaHardware } from "../../../agent/environment/nvidia-hardware.ts";
import { childEnvironment, isAlive } from "../../../agent/processes.ts";
import { listen } from "../context.ts";
import { type FakeTools, makeFakeTools } from "./fake-tools.ts";

vi.mock("../../../agent/environment/nvidia-hardware.ts");
const hardware = vi.mocked(nvidiaHardware);

/** uv, Python and nvidia-smi are stand-ins here: the real ones fill the shared data directory that other tests use. */
let root: string;
let home: string;
let tools: FakeTools;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-env-"));
  home = join(root, "home");
  tools = await makeFakeTools(root);
  vi.stubEnv("PATH", tools.bin);
  vi.stubEnv("CUDA_VISIBLE_DEVICES", undefined);
  hardware.mockResolvedValue([]);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  // A test that fails half-way shall not leave its hanging uv.
  const pid = Number(await readFile(join(root, "installing"), "utf8").catch(() => "0"));
  if (pid > 0 && isAlive(pid)) process.kill(pid, "SIGKILL");
  await rm(root, { recursive: true });
});

type Device = "auto" | "cpu" | "cuda";
const ensure = (device: Device = "auto", context = listen()) =>
  environmentEnsure({ dataDirectory: home, device }, context);
const name = `${environmentLock().slice(0, 12)}-cpu`;
const installs = async () =>
  (await tools.calls()).filter((call) => call[1] === "install" && !call.includes("--dry-run"));

it("installs both locks with hashes where only PyPI is there, and says why", async () => {
  const context = listen();
  const { path, record, created } = await ensure("auto", context);
  expect({ path, created }).toEqual({ path: join(home, "env", name), created: true });
  expect(record).toMatchObject({ lock: environmentLock(), device: "cpu", torchSource: "pypi", deviceName: "Fake CPU" });
  const [install, ...more] = await installs();
  expect(more).toEqual([]);
  expect(install).toEqual(expect.arrayContaining(["--no-deps", "--require-hashes"]));
  expect(install?.filter((word) => word.endsWith(".lock")).map((file) => file.split("/").at(-1))).toEqual([
    "base.lock",
    "base.lock",
    "torch.lock",
  ]);
  expect(context.logged.join()).toMatch(/torch comes from PyPI .*5\.4 GB.*dns error/);
  expect((await ensure()).created).toBe(false);
  expect((await environmentRead({ dataDirectory: home, lock: environmentLock() }, listen()))?.path).toBe(path);
});

it("takes torch of the pinned version from PyTorch's CPU index where it is reachable", async () => {
  await tools.behave({ index: true });
  expect((await ensure("cpu")).record.torchSource).toBe("cpu");
  const [torch, base] = await installs();
  expect(torch).toEqual(expect.arrayContaining(["--torch-backend", "cpu", "torch==2.13.0", "torchaudio==2.11.0"]));
  expect(base).toEqual(expect.arrayContaining(["--require-hashes", "--no-deps"]));
});

it("reads null once the environment's Python is gone, and builds it again", async () => {
  const { path } = await ensure();
  await rm(join(path, "bin", "python"));
  expect(await environmentRead({ dataDirectory: home, lock: environmentLock() }, listen())).toBeNull();
  expect((await ensure()).created).toBe(true);
});

it("leaves nothing when the disk is full, and says how much it takes", async () => {
  await tools.behave({ install: "disk-full" });
  await expect(ensure()).rejects.toMatchObject({
    code: "disk-full",
    message: expect.stringMatching(/needs 5\.4 GB, and .* are free at/) as string,
  });
  expect(await readdir(join(home, "env"))).toEqual([]);
});

it("says what to install where there is no Python", async () => {
  await rm(join(tools.bin, "python3"));
  vi.stubEnv("XDG_DATA_HOME", root);
  await expect(ensure()).rejects.toMatchObject({
    code: "python-missing",
    message: expect.stringContaining("looked for python3.13, python3.12, python3.11, python3 on PATH") as string,
  });
});

it("tells a self-test that crashes", async () => {
  await tools.behave({ selfTest: { unusable: "a product of two matrices was wrong" } });
  await expect(ensure()).rejects.toMatchObject({ code: "environment-broken" });
  expect(await readdir(join(home, "env"))).toEqual([]);
});

describe("a GPU", () => {
  it("is never left aside silently", async () => {
    const selfTest = { torch: "2.13.0+cu130", cuda: "13.0", unusable: "CUDA unknown error" };
    await tools.behave({ driver: "580.65.06", selfTest });
    await expect(ensure("auto")).rejects.toMatchObject({
      code: "cuda-unusable",
      message:
        "torch 2.13.0+cu130 (CUDA 13.0) can't use the GPU (NVIDIA Test 9000, driver 580.65.06): CUDA unknown error.",
    });
  });

  it("whose driver is broken is never left aside for the CPU in silence", async () => {
    const brokenDriver = "Failed to initialize NVML: Driver/library version mismatch";
    await tools.behave({ brokenDriver });
    await expect(ensure("auto")).rejects.toMatchObject({
      code: "cuda-unusable",
      message: expect.stringContaining(brokenDriver) as string,
    });
    expect(await tools.calls()).toEqual([]);
    expect((await ensure("cpu")).record.device).toBe("cpu");
    vi.stubEnv("CUDA_VISIBLE_DEVICES", "");
    expect((await ensure("auto")).created).toBe(false);
  });

  it("that nvidia-smi does not know of is no GPU, unless the kernel does", async () => {
    await tools.behave({ brokenDriver: "No devices were found" });
    hardware.mockResolvedValue(["0000:65:00.0"]);
    for (const device of ["auto", "cuda"] as const) {
      await expect(ensure(device)).rejects.toMatchObject({
        code: "cuda-unusable",
        message: expect.stringContaining(
          'there is an NVIDIA GPU at PCI address 0000:65:00.0, and nvidia-smi says "No devices were found"',
        ) as string,
      });
    }
    hardware.mockResolvedValue([]);
    expect((await ensure("auto")).record.device).toBe("cpu");
  });

  it("whose driver is missing is never left aside for the CPU in silence", async () => {
    hardware.mockResolvedValue(["0000:65:00.0"]);
    await expect(ensure("auto")).rejects.toMatchObject({
      code: "cuda-unusable",
      message: expect.stringContaining("and nvidia-smi is missing or lists none") as string,
      blame: "infrastructure",
    });
    expect((await ensure("cpu")).record.device).toBe("cpu");
  });

  it("with an old driver is refused before 5 GB are fetched, unless the index has a build for it", async () => {
    await tools.behave({ driver: "535.183.01" });
    await expect(ensure("cuda")).rejects.toMatchObject({ code: "driver-too-old" });
    expect(await installs()).toEqual([]);
    await tools.behave({ driver: "535.183.01", index: true, selfTest: { torch: "2.13.0+cu126", cuda: "12.6" } });
    expect((await ensure("cuda")).record).toMatchObject({ device: "cuda", torchSource: "cu126" });
  });

  it("that is not there, or hidden, can't be asked for", async () => {
    await expect(ensure("cuda")).rejects.toMatchObject({ code: "device-missing", property: "compute.device" });
    await tools.behave({ driver: "580.65.06" });
    vi.stubEnv("CUDA_VISIBLE_DEVICES", "");
    await expect(ensure("cuda")).rejects.toThrow('CUDA_VISIBLE_DEVICES=""');
    expect((await ensure("auto")).record.device).toBe("cpu");
  });
});

describe("interrupted", () => {
  const agent = fileURLToPath(new URL("../../../agent/main.ts", import.meta.url));

  /** The agent as a process of its own, hanging in the install; and the pid of the uv below it. */
  async function hang() {
    await tools.behave({ install: "hang" });
    const env = { ...childEnvironment(), PATH: tools.bin };
    const child = spawn(process.execPath, [agent, "environment-ensure"], { stdio: ["pipe", "pipe", "ignore"], env });
    child.stdin.end(JSON.stringify({ dataDirectory: home, device: "cpu" }));
    child.stdout.resume();
    return { child, uv: await appeared(join(root, "installing")) };
  }

  async function appeared(path: string): Promise<number> {
    const abort = new AbortController();
    const found = new Promise<void>((resolve) => {
      watch(root, { signal: abort.signal }, () => existsSync(path) && resolve());
      if (existsSync(path)) resolve();
    });
    await found;
    abort.abort();
    for (;;) {
      const pid = Number(await readFile(path, "utf8"));
      if (pid > 0) return pid;
      await delay(5);
    }
  }

  async function ended(pid: number): Promise<void> {
    while (isAlive(pid)) await delay(10);
  }

  it("by SIGKILL, takes uv with it, and the next ensure clears up and finishes", async () => {
    const { child, uv } = await hang();
    const left = (await readdir(join(home, "env"))).filter((entry) => entry.startsWith(`${name}.tmp-`));
    expect(left).toHaveLength(1);
    child.kill("SIGKILL");
    await once(child, "exit");
    if (process.platform === "linux") await ended(uv);
    else process.kill(uv, "SIGKILL");
    await tools.behave({});
    expect((await ensure("cpu")).created).toBe(true);
    expect(await readdir(join(home, "env"))).toEqual([name]);
  });

  it("by a caller that goes away, stops uv and leaves nothing", async () => {
    const { child, uv } = await hang();
    child.kill("SIGINT");
    await once(child, "exit");
    await ended(uv);
    expect(await readdir(join(home, "env"))).toEqual([]);
  });

  it("makes a second one wait, which says so and then finishes the work", async () => {
    const { child, uv } = await hang();
    const context = listen();
    const second = ensure("cpu", context);
    while (!context.progressed.some(({ message }) => message.startsWith("waiting: another tuneup"))) await delay(10);
    await tools.behave({});
    child.kill("SIGKILL");
    await once(child, "exit");
    if (process.platform !== "linux") process.kill(uv, "SIGKILL");
    expect((await second).created).toBe(true);
    expect(await readdir(join(home, "env"))).toEqual([name]);
  });

  it("leaves alone what it did not make", async () => {
    await mkdir(join(home, "env", "mine"), { recursive: true });
    await mkdir(join(home, "env", `${name}.tmp-1-dead`));
    await ensure("cpu");
    expect((await readdir(join(home, "env"))).toSorted()).toEqual([name, "mine"].toSorted());
  });
});

describe("extras", () => {
  it("are installed with the base, tested, and make an environment of their own beside it", async () => {
    const input = { dataDirectory: home, device: "cpu" as const };
    const plain = await environmentEnsure(input, listen());
    const { path, record } = await environmentEnsure({ ...input, extras: ["galore", "badam"] }, listen());
    expect(path).not.toBe(plain.path);
    expect(record.lock).toBe(environmentLock(["badam", "galore"]));
    const install = (await installs()).at(-1);
    expect(install?.filter((word) => word.endsWith(".lock")).map((file) => file.split("/").at(-1))).toEqual(
      expect.arrayContaining(["base.lock", "badam.lock", "galore.lock"]),
    );
    expect((await environmentEnsure({ ...input, extras: ["badam", "galore"] }, listen())).created).toBe(false);
    expect((await environmentEnsure({ ...input, extras: [] }, listen())).path).toBe(plain.path);
  });
});

describe("TUNEUP_MIRRORS=cn", () => {
  it("has uv look for torch's CPU build in the mirror's folder, never in PyTorch's index", async () => {
    vi.stubEnv("TUNEUP_MIRRORS", "cn");
    await tools.behave({ index: true });
    expect((await ensure("cpu")).record.torchSource).toBe("cpu");
    const all = await tools.calls();
    expect(all.flat()).not.toContain("--torch-backend");
    const [torch] = await installs();
    expect(torch).toEqual(expect.arrayContaining(["torch==2.13.0+cpu", "torchaudio==2.11.0+cpu"]));
    expect(torch?.[torch.indexOf("--find-links") + 1]).toMatch(/\/cpu\/$/);
  });

  it("takes torch from the mirror of PyPI, by hash, for a driver that its build runs on", async () => {
    vi.stubEnv("TUNEUP_MIRRORS", "cn");
    await tools.behave({ driver: "580.65.06", index: true, selfTest: { torch: "2.13.0+cu130", cuda: "13.0" } });
    expect((await ensure("cuda")).record.torchSource).toBe("pypi");
    expect((await installs())[0]).toContain("--require-hashes");
  });

  it("takes an older build for an older driver", async () => {
    vi.stubEnv("TUNEUP_MIRRORS", "cn");
    await tools.behave({ driver: "535.183.01", index: true, selfTest: { torch: "2.13.0+cu126", cuda: "12.6" } });
    expect((await ensure("cuda")).record.torchSource).toBe("cu126");
    expect((await installs())[0]).toContain("torch==2.13.0+cu126");
  });
});
