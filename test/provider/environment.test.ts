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
