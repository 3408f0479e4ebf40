import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { askWhy } from "../../../agent/environment/ask.ts";
import { nvidiaHardware } from "../../../agent/environment/nvidia-hardware.ts";
import { gpuTrouble, parseGpus, visibleGpus } from "../../../recipe/gpus.ts";
import { environmentLock, torchPins } from "../../../agent/environment/identity.ts";
import { readPlan } from "../../../agent/environment/install.ts";
import { isRecent } from "../../../agent/environment/uv.ts";
import { uvVariables } from "../../../agent/environment/uv-variables.ts";
import { lastWords } from "../../../agent/attached.ts";

afterEach(() => vi.unstubAllEnvs());

const listed = parseGpus(
  "0, GPU-aaaa1111, NVIDIA H100 80GB HBM3, 81559, 580.65.06\n1, GPU-bbbb2222, NVIDIA L4, 23034, 580.65.06\n",
);

it.each([
  [undefined, ["NVIDIA H100 80GB HBM3", "NVIDIA L4"]],
  ["", []],
  ["-1", []],
  ["1", ["NVIDIA L4"]],
  ["1,0", ["NVIDIA L4", "NVIDIA H100 80GB HBM3"]],
  ["0,7,1", ["NVIDIA H100 80GB HBM3"]],
  ["GPU-bbbb", ["NVIDIA L4"]],
])("CUDA_VISIBLE_DEVICES=%s leaves %j, as CUDA reads it", (visible, names) => {
  expect(visibleGpus(listed, visible).map((gpu) => gpu.name)).toEqual(names);
  expect(visibleGpus(listed, "0")[0]?.memoryBytes).toBe(81559 * 2 ** 20);
});

it("tells of a short command that does not answer in time, that fails, and that is missing, one from another", async () => {
  expect(await askWhy("sleep", ["600"], 50)).toEqual({ failure: "it did not answer within 0.05 s" });
  expect(await askWhy("sh", ["-c", "echo; echo broken >&2; exit 9"], 60_000)).toEqual({ failure: "broken" });
  expect(await askWhy("sh", ["-c", "exit 9"], 60_000)).toEqual({ failure: "it ended with 9" });
  expect(await askWhy("/nonexistent/nvidia-smi", [], 60_000)).toEqual({});
  expect(await askWhy("echo", ["well"], 60_000)).toEqual({ said: "well\n" });
});

it("finds NVIDIA GPUs as the Linux kernel lists them: with a driver, and as PCI devices without one", async () => {
  const root = await mkdtemp(join(tmpdir(), "tuneup-pci-"));
  try {
    expect(await nvidiaHardware(root)).toEqual([]);
    const devices = { "0000:65:00.0": ["0x10de", "0x030200"], "0000:65:00.1": ["0x10de", "0x040300"] };
    for (const [address, [vendor, kind]] of Object.entries({ ...devices, "0000:00:02.0": ["0x8086", "0x030000"] })) {
      const folder = join(root, "sys/bus/pci/devices", address);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "vendor"), `${vendor}\n`);
      await writeFile(join(folder, "class"), `${kind}\n`);
    }
    expect(await nvidiaHardware(root)).toEqual(["0000:65:00.0"]);
    for (const address of ["0000:65:00.0", "0000:66:00.0"]) {
      await mkdir(join(root, "proc/driver/nvidia/gpus", address), { recursive: true });
    }
    expect(await nvidiaHardware(root)).toEqual(["0000:65:00.0", "0000:66:00.0"]);
  } finally {
    await rm(root, { recursive: true });
  }
});

it.each([
  [undefined, [], undefined],
  ["No devices were found", [], undefined],
  ["Driver/library version mismatch", [], 'nvidia-smi says "Driver/library version mismatch"'],
  [undefined, ["0000:65:00.0"], "there is an NVIDIA GPU at PCI address 0000:65:00.0, and nvidia-smi is missing or"],
])("nvidia-smi that fails with %j on a machine with %j is trouble: %j", (failure, hardware, trouble) => {
  const told = gpuTrouble(failure, hardware);
  if (trouble === undefined) expect(told).toBeUndefined();
  else expect(told).toContain(trouble);
});

it.each([
  ["uv 0.13.9 (x86_64)", true],
  ["uv 0.9.0", true],
  ["uv 1.0.0", true],
  ["uv 0.8.22", false],
  ["uv 0.8", false],
  ["", false],
])("uv that says %j is recent enough: %s", (answer, recent) => {
  expect(isRecent(answer)).toBe(recent);
});

it("pins a torch and a torchaudio that work together", () => {
  expect(torchPins()).toEqual(["torch==2.13.0", "torchaudio==2.11.0"]);
  expect(environmentLock()).toMatch(/^[0-9a-f]{64}$/);
});

it("reads what uv is about to do", () => {
  expect(
    readPlan("Resolved 115 packages in 1s\nWould download 3 packages\nWould install 115 packages\n + a==1"),
  ).toEqual({
    packages: 115,
    downloads: 3,
  });
  expect(readPlan("Would install 1 package")).toEqual({ packages: 1, downloads: 0 });
});

it("gives uv pip's mirror and certificates, and no setting that would change what is installed", () => {
  const given = { PIP_INDEX_URL: "https://mirror/simple", PIP_CERT: "/ca.pem", UV_TORCH_BACKEND: "cu118" };
  expect(uvVariables(given)).toEqual({
    UV_TORCH_BACKEND: "",
    UV_DEFAULT_INDEX: "https://mirror/simple",
    SSL_CERT_FILE: "/ca.pem",
  });
  expect(uvVariables({ ...given, UV_DEFAULT_INDEX: "https://own/simple" })).not.toHaveProperty("UV_DEFAULT_INDEX");
});

it("tells a tool's last error with its innermost cause", () => {
  const said = "warning: x\nerror: Failed to fetch: `https://a/`\n  cause: request failed\n  cause: dns error\n";
  expect(lastWords(said)).toBe("Failed to fetch: `https://a/`: dns error");
  expect(lastWords("Traceback\nValueError: wrong\n")).toBe("ValueError: wrong");
});
