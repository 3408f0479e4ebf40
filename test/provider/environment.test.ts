import { expect, it, vi } from "vitest";
import { hostFaults } from "../../checks/host.ts";
import { connect } from "../../hosts/connect.ts";
import { environmentKind } from "../../provider/resources/environment.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

vi.mock("../../hosts/connect.ts");

const facts = {
  ...{ platform: "linux", arch: "x64", cores: 2, memoryBytes: 8e9, memoryFreeBytes: 8e9 },
  ...{ python: null, gpus: [], environment: null },
} as const;

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
