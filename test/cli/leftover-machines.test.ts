import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endLeftoverMachines, type Purpose, recordedMachines } from "../../cli/leftover-machines.ts";
import { recover } from "../../cli/recover.ts";
import { machineUnowned } from "../../hosts/aws-unrecorded.ts";
import { faultOf } from "../hosts/aws-stage.ts";
import { type FakeAws, fakeAws } from "../hosts/fake-aws.ts";

/** Machines that an `up` made and was killed before it could write that down. */
const place = { kind: "aws", region: "us-east-1", stack: "demo", dataDirectory: "/data" } as const;
const expiry = "2026-11-28T13:45:00Z";
const type = "aws:ec2/instance:Instance";

/** A state with the machines that it owns, and one whose creation was cut off. */
function state(owned: readonly string[], begun?: string) {
  const urn = "urn:pulumi:demo::tuneup::tuneup:components:AwsTarget$aws:ec2/instance:Instance::demo";
  const resource = { type, urn, inputs: { tags: { "tuneup:expiry": begun } } };
  return {
    resources: [{ type: "pulumi:pulumi:Stack" }, ...owned.map((id) => ({ type, id }))],
    ...(begun === undefined ? {} : { pending_operations: [{ type: "creating", resource }] }),
  };
}

let aws: FakeAws;
let said: string[];

beforeEach(async () => {
  aws = await fakeAws();
  said = [];
  aws.machines = [{ id: "i-0a", state: "running", stack: "demo", expiry }];
  aws.volumes = [{ id: "vol-0a", stack: "demo", sizeGiB: 20 }];
});
afterEach(() => aws.remove());

const end = (what: object, purpose: Purpose = "up", signal = new AbortController().signal) =>
  endLeftoverMachines(place, what, { purpose, say: (line) => said.push(line), signal });

describe.each(["up", "down"] as const)("before %s", (purpose) => {
  it("a machine that a killed up made is ended, waited for, and said; its volume stays", async () => {
    await end(state([], expiry), purpose);
    expect(aws.machines).toMatchObject([{ id: "i-0a", state: "terminated" }]);
    expect(aws.volumes).toHaveLength(1);
    expect(said).toEqual([expect.stringMatching(/^Ending i-0a \(g5\.xlarge, us-east-1\): an `up` was killed/)]);
    await end(state([], expiry), purpose);
    expect(aws.actions.filter((action) => action === "TerminateInstances")).toHaveLength(1);
  });

  it("the stack's own is left beside it, and so is one of another stack", async () => {
    aws.machines = [
      { id: "i-0own", state: "running", stack: "demo", expiry },
      ...aws.machines,
      { id: "i-0other", state: "running", stack: "other", expiry },
    ];
    await end(state(["i-0own"], expiry), purpose);
    expect(aws.machines.map(({ id, state }) => [id, state])).toEqual([
      ["i-0own", "running"],
      ["i-0a", "terminated"],
      ["i-0other", "running"],
    ]);
  });
});

describe("a machine that another state may own", () => {
  it("is ended with its group where it has one, or another follows", () => {
    const unknown = { zone: undefined, reason: undefined, endedAt: undefined, expiry: undefined };
    const running = { ...unknown, id: "i-0a", type: "g5.xlarge", state: "running", startedAt: new Date(0) } as const;
    const { next } = machineUnowned(
      { ...running, group: "tuneup-demo" },
      { stack: "demo", region: "us-east-1" },
    ).toFacts();
    expect(next).toContain(
      "aws autoscaling delete-auto-scaling-group --auto-scaling-group-name tuneup-demo --force-delete",
    );
    expect(next).not.toContain("terminate-instances");
  });

  it.each([
    ["nothing was cut off here", state([])],
    ["what was cut off here had another lease", state([], "2026-11-28T13:46:00Z")],
  ])("is not ended where %s: up is refused, down says it", async (_why, what) => {
    expect(await faultOf(end(what))).toMatchObject({
      code: "machine-unowned",
      message: expect.stringMatching(/^i-0a \(g5\.xlarge, us-east-1\) has the tags of demo/) as string,
      next: expect.stringContaining("terminate-instances --instance-ids i-0a --region us-east-1") as string,
    });
    await end(what, "down");
    expect(said).toEqual([expect.stringMatching(/^i-0a .* it is left as it is\.$/)]);
    expect(aws.actions).not.toContain("TerminateInstances");
  });

  it("is none where it has ended, or is this state's own", async () => {
    await end(state(["i-0a"]));
    aws.machines = [{ id: "i-0a", state: "terminated", stack: "demo", expiry }];
    await end(state([]));
    expect(said).toEqual([]);
  });
});

it("waiting for the end can be given up", async () => {
  const abort = new AbortController();
  abort.abort();
  expect(await faultOf(end(state([], expiry), "up", abort.signal))).toMatchObject({ code: "cancelled" });
  expect(aws.actions).toContain("TerminateInstances");
});

it("a machine that is replaced counts as owned, and another resource's creation says nothing of machines", () => {
  const pending = [
    { type: "creating", resource: { type: "aws:ec2/vpc:Vpc", inputs: { tags: { "tuneup:expiry": expiry } } } },
    { type: "deleting", resource: { type, inputs: { tags: { "tuneup:expiry": expiry } } } },
    { type: "creating", resource: { type, inputs: {} } },
  ];
  const resources = [
    { type, id: "i-0a", delete: true },
    { type, id: "i-0b" },
  ];
  expect(recordedMachines({ resources, pending_operations: pending })).toEqual({
    owned: ["i-0a", "i-0b"],
    begun: [],
    groups: [],
    begunGroups: [],
  });
  expect(recordedMachines({})).toEqual({ owned: [], begun: [], groups: [], begunGroups: [] });
});

describe("a group of spot capacity", () => {
  const group = "aws:autoscaling/group:Group";
  const owned = { resources: [{ type: group, id: "tuneup-demo" }] };
  const begun = {
    pending_operations: [
      {
        type: "creating",
        resource: { type: group, inputs: { name: "tuneup-demo", tags: [{ key: "k", value: "v" }] } },
      },
    ],
  };
  beforeEach(() => {
    aws.machines = [{ id: "i-0a", state: "running", stack: "demo", expiry, group: "tuneup-demo" }];
  });

  it("owns its machines, whichever they are: no state has them", async () => {
    await end(owned);
    expect(said).toEqual([]);
    expect(await faultOf(end({}))).toMatchObject({ code: "machine-unowned" });
  });

  it("that a killed up made is deleted with its machine, and waited for until its name is free", async () => {
    const there =
      "<AutoScalingGroups><member><AutoScalingGroupName>tuneup-demo</AutoScalingGroupName></member></AutoScalingGroups>";
    const states = [there, there, "<AutoScalingGroups/>"];
    Object.defineProperty(aws.answers, "get", {
      value: (action: string) => {
        if (action === "DescribeAutoScalingGroups") return states.shift();
        return action === "DeleteAutoScalingGroup" ? "" : undefined;
      },
    });
    await end(begun);
    expect(aws.actions).toEqual([
      ...["DescribeAutoScalingGroups", "DeleteAutoScalingGroup", "DescribeAutoScalingGroups"],
      ...["DescribeAutoScalingGroups", "DescribeInstances"],
    ]);
    expect(said).toEqual([expect.stringMatching(/^Ending the group tuneup-demo \(us-east-1\) and its machine: /)]);
  });

  it("that was never made is nothing to end", async () => {
    aws.machines = [];
    aws.answers.set("DescribeAutoScalingGroups", "<AutoScalingGroups/>");
    await end(begun, "down");
    expect(aws.actions).not.toContain("DeleteAutoScalingGroup");
  });

  it("that may not be deleted says so", async () => {
    aws.answers.set("DescribeAutoScalingGroups", "<AutoScalingGroupName>tuneup-demo</AutoScalingGroupName>");
    aws.refusals.set("DeleteAutoScalingGroup", [{ status: 403, name: "AccessDenied", message: "no" }]);
    expect(await faultOf(end(begun))).toMatchObject({ code: "aws-forbidden" });
  });
});

describe("recover", () => {
  const stack = (done: string[], cutOff: object) => ({
    name: "demo",
    cancel: () => Promise.resolve(),
    exportStack: () => Promise.resolve({ version: 3, deployment: cutOff }),
    refresh: () => {
      done.push("cleared");
      return Promise.resolve({ stdout: "", stderr: "", summary: {} as never });
    },
  });
  const say = (line: string): void => void said.push(line);

  it("ends the machine before it clears the record that tells of it", async () => {
    const done: string[] = [];
    const before = async (told: unknown): Promise<void> => {
      await end(told as object);
      done.push("ended");
    };
    await recover(stack(done, state([], expiry)), { say, before });
    expect(done).toEqual(["ended", "cleared"]);
    expect(said.at(-1)).toBe(`Clearing what the last update was cut off at: creating Instance.`);
  });

  it("keeps the record where the machine could not be ended, and for a preview", async () => {
    const done: string[] = [];
    aws.refusals.set("TerminateInstances", [{ status: 403, name: "UnauthorizedOperation", message: "no" }]);
    const before = (told: unknown): Promise<void> => end(told as object);
    const told = await faultOf(recover(stack(done, state([], expiry)), { say, before }));
    expect(told).toMatchObject({ code: "aws-forbidden" });
    await recover(stack(done, state([], expiry)), { say, clears: false });
    expect(done).toEqual([]);
  });
});
