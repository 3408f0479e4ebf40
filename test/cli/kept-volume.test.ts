import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { settleVolume } from "../../cli/kept-volume.ts";
import { faultOf } from "../hosts/aws-stage.ts";
import { type FakeAws, fakeAws } from "../hosts/fake-aws.ts";

/** What becomes of the data volume after `down`. */
const place = { kind: "aws", region: "us-east-1", stack: "demo", dataDirectory: "/data" } as const;
const { signal } = new AbortController();

let aws: FakeAws;

beforeEach(async () => {
  aws = await fakeAws();
  aws.volumes = [
    { id: "vol-0a", stack: "demo", sizeGiB: 50 },
    { id: "vol-0b", stack: "other", sizeGiB: 50 },
  ];
});
afterEach(() => aws.remove());

it("is kept without --purge, with its price and how to delete it", async () => {
  expect(await settleVolume(place, { purge: false, signal })).toBe(
    "Nothing of demo computes any more. Its data volume vol-0a (50 GiB, 4.00 USD a month at the prices of us-east-1) is kept in AWS: the next `npx tuneup up` takes it up, `npx tuneup down demo --purge` deletes it.",
  );
  expect(aws.actions).not.toContain("DeleteVolume");
});

it("is deleted with --purge, and no other stack's", async () => {
  expect(await settleVolume(place, { purge: true, signal })).toBe(
    "Nothing of demo computes any more, and its data volume vol-0a (50 GiB) is deleted.",
  );
  expect(aws.volumes.map(({ id }) => id)).toEqual(["vol-0b"]);
  expect(await settleVolume(place, { purge: true, signal })).toBe(
    "Nothing of demo computes any more, and it has no data volume in us-east-1.",
  );
});

it("is deleted only when its machine has let go of it", async () => {
  aws.machines = [{ id: "i-0a", state: "shutting-down", stack: "demo" }];
  aws.ending.add("i-0a");
  aws.volumes = [{ id: "vol-0a", stack: "demo", sizeGiB: 50, machine: "i-0a" }];
  await settleVolume(place, { purge: true, signal });
  expect(aws.volumes).toEqual([]);
  expect(aws.actions.lastIndexOf("DescribeVolumes")).toBeGreaterThan(aws.actions.indexOf("DescribeVolumes"));
  expect(aws.actions.at(-1)).toBe("DeleteVolume");
});

it("is not deleted from under a machine that runs, nor waited for without an end", async () => {
  aws.machines = [{ id: "i-0a", state: "running", stack: "demo" }];
  aws.volumes = [{ id: "vol-0a", stack: "demo", sizeGiB: 50, machine: "i-0a" }];
  expect(await faultOf(settleVolume(place, { purge: true, signal }))).toMatchObject({
    code: "volume-attached",
    message: "The data volume vol-0a (us-east-1) is still on i-0a, so it was not deleted.",
  });
  vi.stubEnv("TUNEUP_AWS_PATIENCE_MS", "1");
  aws.machines = [{ id: "i-0a", state: "shutting-down", stack: "demo" }];
  expect(await faultOf(settleVolume(place, { purge: true, signal }))).toMatchObject({ code: "volume-attached" });
  expect(aws.volumes).toHaveLength(1);
});

it("is not chosen among several", async () => {
  aws.volumes = ["vol-0b", "vol-0a"].map((id) => ({ id, stack: "demo", sizeGiB: 50 }));
  expect(await faultOf(settleVolume(place, { purge: true, signal }))).toMatchObject({
    code: "volume-several",
    message: "There are 2 volumes with the tags of demo in us-east-1, and one stack has one: vol-0a, vol-0b.",
  });
  expect(aws.actions).not.toContain("DeleteVolume");
});
