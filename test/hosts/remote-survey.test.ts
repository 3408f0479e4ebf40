import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Hello } from "../../hosts/remote-bootstrap.ts";
import { survey } from "../../hosts/remote-survey.ts";

let bin: string;
beforeEach(async () => (bin = await mkdtemp(join(tmpdir(), "tuneup-survey-"))));
afterEach(() => rm(bin, { recursive: true }));

/** What a host tells whose nvidia-smi is this script, and which has this to say of its PCI devices. */
async function factsWith(smi: string | undefined, variables: Readonly<Record<string, string>> = {}, pci = "") {
  if (smi !== undefined) {
    await writeFile(join(bin, "nvidia-smi"), `#!/bin/sh\n${smi}\n`);
    await chmod(join(bin, "nvidia-smi"), 0o755);
  }
  const env = { HOME: bin, PATH: `${bin}:/usr/bin:/bin`, ...variables };
  const script = (text: string): Promise<string> => {
    // This machine's own hardware is none of the test's.
    const input = text.replaceAll("/sys/bus/pci/devices", join(bin, pci || "none")).replace("/proc/driver/nvidia", bin);
    return Promise.resolve(spawnSync("bash", ["-s"], { input, env, encoding: "utf8" }).stdout);
  };
  const hello = { data: bin, machine: "x86_64" } as Hello;
  return survey({ script }, hello, { dataDirectory: bin });
}

it("tells the GPUs that nvidia-smi lists", async () => {
  const { gpus, driverTrouble } = await factsWith('echo "0, GPU-1, NVIDIA Test 9000, 81920, 580.65.06"');
  expect(gpus).toEqual([{ name: "NVIDIA Test 9000", memoryBytes: 81920 * 2 ** 20, driver: "580.65.06" }]);
  expect(driverTrouble).toBeUndefined();
});

it("tells why there are none, so that none is left aside in silence", async () => {
  const broken = "echo; echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18";
  expect(await factsWith(broken)).toMatchObject({
    gpus: [],
    driverTrouble: 'nvidia-smi says "Failed to initialize NVML: Driver/library version mismatch"',
  });
  expect((await factsWith("exit 124")).driverTrouble).toBe('nvidia-smi says "it did not answer within 30 s"');
  expect((await factsWith("exit 9")).driverTrouble).toBe('nvidia-smi says "it ended with 9"');
  expect((await factsWith(broken, { CUDA_VISIBLE_DEVICES: "" })).driverTrouble).toBeUndefined();
  expect((await factsWith("echo No devices were found; exit 6")).driverTrouble).toBeUndefined();
});

it("tells of a GPU that has no driver", async () => {
  expect((await factsWith(undefined)).driverTrouble).toBeUndefined();
  const devices = { "0000:65:00.0": ["0x10de", "0x030200"], "0000:65:00.1": ["0x10de", "0x040300"] };
  for (const [address, [vendor, kind]] of Object.entries(devices)) {
    await mkdir(join(bin, "pci", address), { recursive: true });
    await writeFile(join(bin, "pci", address, "vendor"), `${vendor}\n`);
    await writeFile(join(bin, "pci", address, "class"), `${kind}\n`);
  }
  expect((await factsWith(undefined, {}, "pci")).driverTrouble).toBe(
    "there is an NVIDIA GPU at PCI address 0000:65:00.0, and nvidia-smi is missing or lists none",
  );
});
