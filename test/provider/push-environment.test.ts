import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { engineDigest } from "../../agent/environment/identity.ts";
import type { Host } from "../../hosts/host.ts";
import { pushEnvironment } from "../../provider/push-environment.ts";
import { environmentKind } from "../../provider/resources/environment.ts";
import { Fault } from "../../recipe/fault.ts";
import type { CommandName } from "../../recipe/protocol.ts";
import { distantHost } from "../fixtures/distant-host.ts";
import { type PackageIndex, packageIndex, sha256Of } from "../fixtures/package-index.ts";

const wheel = (python: string): string => `only-1.0-${python}-${python}-manylinux_2_28_x86_64.whl`;
const files = Object.fromEntries(["cp311", "cp312"].map((python) => [wheel(python), Buffer.from(python.repeat(99))]));
const locks = vi.hoisted((): Record<string, string> => ({}));
vi.mock("../../agent/assets.ts", () => ({ asset: (path: string) => locks[path] ?? "" }));
const hashes = Object.values(files).map((bytes) => ` --hash=sha256:${sha256Of(bytes)}`);
locks["agent/environment/base.lock"] = `only==1.0${hashes.join("")}\n`;

let root: string;
let far: string;
let index: PackageIndex;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tuneup-push-env-"));
  far = join(root, "far");
  await mkdir(far);
  index = await packageIndex(files);
  vi.stubEnv("TUNEUP_HOME", join(root, "home"));
  vi.stubEnv("UV_DEFAULT_INDEX", index.index);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await index.close();
  await rm(root, { recursive: true });
});

const gpu = { name: "NVIDIA H100", memoryBytes: 80e9, driver: "580.65.06" };
const facts = {
  ...{ arch: "x64", libc: "glibc 2.36", gpus: [gpu], environment: null, egress: undefined as object | undefined },
  python: { path: "/usr/bin/python3", version: "3.12.1" },
};
const record = { lock: "l", device: "cuda", deviceName: "NVIDIA H100", torch: "9.0", bytes: 1 };

/** A host that tells these facts; what it was asked is kept. */
function host(told: object = {}, known: object | null = null) {
  const calls: [CommandName, Record<string, unknown>][] = [];
  const there = distantHost(far, (name, input) => {
    calls.push([name, input as Record<string, unknown>]);
    if (name === "preflight") return { ...facts, ...told };
    if (name === "environment-read") return known;
    return { path: "/far/env", record, created: true };
  });
  return { host: there, calls };
}

const asked = { device: "auto" as const };
const spec = { kind: "ssh", address: "far-away", dataDirectory: "/d" } as const;

describe("an environment", () => {
  it("is sent to a host that reaches no index, for the host's Python, and made there of what was sent alone", async () => {
    const { host: there, calls } = host();
    await pushEnvironment(asked, { host: there, options: {} });
    const [freight] = there.pushed;
    expect(freight?.files.map(({ path }) => path)).toEqual([wheel("cp312")]);
    expect(freight?.there).toMatch(new RegExp(`^${far}/wheels/[0-9a-f]{12}-cp312-manylinux_2_36_x86_64-pypi$`));
    expect(await readdir(freight?.there ?? "")).toEqual([wheel("cp312")]);
    expect(calls.at(-1)).toEqual(["environment-ensure", { device: "auto", extras: [], wheels: freight?.there }]);

    const { host: older } = host({ python: { path: "/usr/bin/python3", version: "3.11.2" } });
    await pushEnvironment(asked, { host: older, options: {} });
    expect(older.pushed[0]?.files.map(({ path }) => path)).toEqual([wheel("cp311")]);
  });

  it("of an engine is made of that engine's lock alone, with no torch but its own", async () => {
    locks["agent/environment/torch.lock"] = `torch==9.0${hashes.join("")}\n`;
    const { host: there, calls } = host();
    const engine = { name: "vllm" as const, lock: `only==1.0${hashes.join("")}\n` };
    await pushEnvironment({ device: "cuda", engine }, { host: there, options: {} });
    expect(there.pushed[0]?.files.map(({ path }) => path)).toEqual([wheel("cp312")]);
    const wheels = there.pushed[0]?.there;
    expect(wheels).toContain(`/wheels/${engineDigest(engine.lock).slice(0, 12)}-cp312-`);
    expect(calls.at(-1)).toEqual(["environment-ensure", { device: "cuda", extras: [], engine, wheels }]);
    delete locks["agent/environment/torch.lock"];
  });

  it("is not sent where there is no Python, or a GPU that torch can't use: known before anything is fetched", async () => {
    const push = (told: object) => pushEnvironment(asked, { host: host(told).host, options: {} });
    await expect(push({ python: null })).rejects.toMatchObject({ code: "python-missing" });
    await expect(push({ gpus: [], driverTrouble: "mismatch" })).rejects.toMatchObject({ code: "cuda-unusable" });
    await expect(push({ gpus: [{ ...gpu, driver: "470.1" }] })).rejects.toMatchObject({ code: "driver-too-old" });
    expect(index.asked).toEqual([]);
  });

  it("is fetched anew where what lay here was damaged", async () => {
    const { host: there } = host();
    const damaged = new Fault({
      code: "transfer-damaged",
      message: "did not arrive as it is",
      blame: "infrastructure",
    });
    const first: Host = { ...there, push: () => Promise.reject(damaged) };
    await expect(pushEnvironment(asked, { host: first, options: {} })).rejects.toBe(damaged);
    expect(await readdir(join(root, "home/cache/wheels"))).toEqual([]);
    await pushEnvironment(asked, { host: there, options: {} });
    expect(there.pushed).toHaveLength(1);
  });
});

describe("the resource", () => {
  const ensure = async (there: ReturnType<typeof host>, given: object = {}) => {
    const inputs = environmentKind.inputs.parse({ host: spec, device: "auto", ...given });
    return environmentKind.ensure(inputs, { host: there.host, options: {} });
  };
  const wheelsOf = ({ calls }: ReturnType<typeof host>) => calls.at(-1)?.[1]["wheels"];
  const reached = { pypi: true, huggingface: true, modelscope: true };

  it("pushes where PyPI is not reached, or offline is set, and nowhere else", async () => {
    const closed = host({ egress: { ...reached, pypi: false } });
    expect(await ensure(closed)).toMatchObject({ path: "/far/env", torchDevice: "cuda", state: "healthy" });
    expect(wheelsOf(closed)).toBeTypeOf("string");
    const open = host({ egress: reached });
    await ensure(open);
    expect(open.host.pushed).toEqual([]);
    expect(wheelsOf(open)).toBeUndefined();
    const forced = host({ egress: reached });
    await ensure(forced, { host: { ...spec, offline: true } });
    expect(wheelsOf(forced)).toBeTypeOf("string");
  });

  it("pushes nothing where the environment for this device is there", async () => {
    const offline = { host: { ...spec, offline: true } };
    const there = host({}, { path: "/far/env", record });
    await ensure(there, offline);
    expect(there.host.pushed).toEqual([]);
    const forCpu = host({}, { path: "/far/env", record: { ...record, device: "cpu" } });
    await ensure(forCpu, offline);
    expect(forCpu.host.pushed).toHaveLength(1);
    const cpuAsked = host({}, { path: "/far/env", record: { ...record, device: "cpu" } });
    await ensure(cpuAsked, { ...offline, device: "cpu" });
    expect(cpuAsked.host.pushed).toEqual([]);
  });
});

it("keeps what a host has of an earlier try, whose name is the same", async () => {
  const { host: there } = host();
  await pushEnvironment(asked, { host: there, options: {} });
  await writeFile(join(there.pushed[0]?.there ?? "", "left.part"), "");
  await pushEnvironment(asked, { host: there, options: {} });
  expect(there.pushed[1]?.there).toBe(there.pushed[0]?.there);
});
