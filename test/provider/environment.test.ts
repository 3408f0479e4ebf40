import { expect, it, vi } from "vitest";
import { hostFaults } from "../../checks/host.ts";
import { connect } from "../../hosts/connect.ts";
import { engineLock, engineSet } from "../../hosts/engine-lock.ts";
import { environmentKind } from "../../provider/resources/environment.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

vi.mock("../../hosts/connect.ts");

const facts = {
  ...{ platform: "linux", arch: "x64", cores: 2, memoryBytes: 8e9, memoryFreeBytes: 8e9 },
  ...{ python: null, gpus: [], environment: null },
} as const;

const h100 = { name: "NVIDIA H100", memoryBytes: 80e9, driver: "580.65.06" };

it.each([
  ["a full disk, no Python and no GPU", { ...facts, diskFreeBytes: 1e9 }, 3],
  ["a data directory that is not ours", { ...facts, diskFreeBytes: 1e9, unwritable: "no permission" }, 3],
])("preview says of %s what `tuneup check` says", async (_what, told, count) => {
  vi.mocked(connect).mockResolvedValue(fakeHost("/d", () => told));
  const host = { kind: "local", dataDirectory: "/d" };
  const checked = await environmentKind.check?.({ host, device: "cuda" }, {});
  const faults = hostFaults("cuda", told);
  expect(faults).toHaveLength(count);
  const said = faults.map(({ property, message, next }) => ({ property, reason: `${message} ${next}` }));
  expect(checked?.failures).toEqual(said);
});

it.each([
  ["no GPU", { ...facts, diskFreeBytes: 1e11 }, [/^vllm needs an NVIDIA GPU/]],
  [
    "a full disk",
    { ...facts, gpus: [h100], diskFreeBytes: 9e9 },
    [/^the environment of vllm needs 10\.3 GB and 9\.0 GB/],
  ],
  ["all that it needs", { ...facts, gpus: [h100], diskFreeBytes: 1e11 }, []],
  ["the environment", { ...facts, gpus: [h100], diskFreeBytes: 1e9, engineEnvironment: {} }, []],
])("of a host with %s preview says what an engine's own environment lacks there", async (_what, told, reasons) => {
  const asked: unknown[] = [];
  const answer = (_command: string, input: unknown) => (asked.push(input), told);
  vi.mocked(connect).mockResolvedValue(fakeHost("/d", answer));
  const host = { kind: "local", dataDirectory: "/d" };
  const checked = await environmentKind.check?.({ host, device: "cuda", engine: "vllm" }, {});
  expect(asked).toEqual([{ engineLock: engineLock("vllm") }]);
  expect(checked?.failures).toEqual(
    reasons.map((reason) => ({
      property: expect.any(String) as string,
      reason: expect.stringMatching(reason) as string,
    })),
  );
});

it("sends an engine's lock with the command, and finds what is there by it", async () => {
  const asked: [string, unknown][] = [];
  const record = { lock: engineLock("vllm"), device: "cuda", deviceName: "H100", torch: "2.8.0+cu128", bytes: 1 };
  const host = fakeHost("/d", (command, input) => (asked.push([command, input]), { path: "/d/env/e", record }));
  const spec = { kind: "local", dataDirectory: "/d" } as const;
  const inputs = environmentKind.inputs.parse({ host: spec, device: "cuda", engine: "vllm" });
  const outputs = await environmentKind.ensure(inputs, { host, options: {} });
  expect(asked).toEqual([["environment-ensure", { device: "cuda", extras: undefined, engine: engineSet("vllm") }]]);
  expect(environmentKind.id(inputs)).toBe("vllm@/d");
  // The lock's text is no output: the state holds its digest.
  expect(outputs).toEqual({
    ...{ path: "/d/env/e", lock: engineLock("vllm"), torchDevice: "cuda", deviceName: "H100" },
    ...{ torch: "2.8.0+cu128", bytes: 1, state: "healthy" },
  });
});

it.each([
  ["that reaches the index is brought one", {}, true, []],
  ["without a way to it has to have one", {}, false, ["host"]],
  ["that is to be offline has to have one, and is not asked", { offline: true }, true, ["host"]],
])("a host without Python %s", async (_what, more, pypi, properties) => {
  const egress = { pypi, huggingface: true, modelscope: true };
  const answer = (_command: string, input: unknown) => {
    const isAsked = (input as { egress?: boolean }).egress === true;
    return { ...facts, diskFreeBytes: 1e11, ...(isAsked ? { egress } : {}) };
  };
  vi.mocked(connect).mockResolvedValue(fakeHost("/d", answer, { isHere: false }));
  const host = { kind: "ssh", address: "gpu", dataDirectory: "/d", ...more };
  const checked = await environmentKind.check?.({ host, device: "auto" }, {});
  expect(checked?.failures.map(({ property }) => property)).toEqual(properties);
});
