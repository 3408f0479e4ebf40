import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AwsHost, openAws } from "../../hosts/aws.ts";
import { faultOf, links, newStack } from "./aws-stage.ts";
import { type FakeAws, fakeAws } from "./fake-aws.ts";

let aws: FakeAws;
let way: ReturnType<typeof links>;

beforeEach(async () => {
  aws = await fakeAws();
  way = links(aws);
});
afterEach(async () => {
  await way.close();
  await aws.remove();
});

describe("a machine that is not to be had", () => {
  it("was never made", async () => {
    const told = await faultOf(way.link("nobody").open());
    expect(told).toMatchObject({ code: "machine-none", message: "There is no machine of nobody in us-east-1." });
  });

  it.each<[string, object, string, RegExp]>([
    [
      "by its own word",
      { reason: "Client.InstanceInitiatedShutdown" },
      "tuneup: this machine ends: nothing ran for 30 minutes.\r\n",
      /ended: nothing ran for 30 minutes\.$/,
    ],
    ["by itself", { reason: "Client.InstanceInitiatedShutdown" }, "", /ended: it powered itself off\.$/],
    [
      "by somebody",
      { reason: "Client.UserInitiatedShutdown", expiry: "2999-01-01T00:00:00Z" },
      "",
      /through AWS's API\.$/,
    ],
    [
      "by its lease",
      { reason: "Client.UserInitiatedShutdown", expiry: "2020-01-01T00:00:00Z" },
      "",
      /lease was over at 2020-01-01T00:00:00.000Z\.$/,
    ],
    ["by AWS", { reason: "Server.SpotInstanceTermination" }, "", /AWS took the spot capacity back\.$/],
  ])("ended %s", async (_how, more, said, message) => {
    const { name, id } = newStack(aws, "terminated", more);
    aws.consoles.set(id, said);
    const told = await faultOf(way.link(name).open());
    expect(told).toMatchObject({ code: "machine-ended", message: expect.stringMatching(message) as string });
    expect(told.message).toContain(id);
  });

  it("is followed by another where AWS took it back, and that one is waited for until it goes on by itself", async () => {
    const { name, id } = newStack(aws, "terminated", {
      ...{ reason: "Server.SpotInstanceTermination", expiry: "2999-01-01T00:00:00Z" },
    });
    const next = `${id}0`;
    await aws.boot("done", "");
    const say = (state: string) => aws.program("systemctl", `#!/bin/sh\necho ${state}\n`);
    await say("activating");
    const said: string[] = [];
    const steps: [RegExp, () => unknown][] = [
      [
        /^AWS took the machine back; waiting until there is another$/,
        () => {
          aws.machines = [...aws.machines, { id: next, state: "running", stack: name }];
          aws.online.add(next);
        },
      ],
      [/ took another machine's place and prepares what that one had$/, () => say("inactive")],
    ];
    await way.link(name, { spot: true }).open({
      onProgress: ({ message }) => {
        if (said.at(-1) === message) return;
        said.push(message);
        const [line, then] = steps[said.length - 1] ?? [];
        if (line?.test(message) === true) void then?.();
      },
    });
    expect(said).toHaveLength(2);
    expect(said[1]).toContain(next);
  });

  it.each([
    ["by its own word", "tuneup: this machine ends: its lease is over.\n", "2999-01-01T00:00:00Z"],
    ["with its lease", "", "2020-01-01T00:00:00Z"],
  ])("of spot capacity is followed by none where it ended %s", async (_how, said, expiry) => {
    const { name, id } = newStack(aws, "terminated", { reason: "Client.UserInitiatedShutdown", expiry });
    aws.consoles.set(id, said);
    const told = await faultOf(way.link(name, { spot: true }).open());
    expect(told).toMatchObject({
      code: "machine-ended",
      next: expect.stringMatching(/^What its runs published is kept; /) as string,
    });
  });

  it("of spot capacity is waited for as long as any other", async () => {
    vi.stubEnv("TUNEUP_AWS_PATIENCE_MS", "1");
    const { name } = newStack(aws, "terminated", { reason: "Server.SpotInstanceTermination" });
    const told = await faultOf(way.link(name, { spot: true }).open());
    expect(told.message).toMatch(/AWS took the spot capacity back\.$/);
  });

  it("is stopped", async () => {
    const { name, id } = newStack(aws, "stopped");
    const told = await faultOf(way.link(name).open());
    expect(told).toMatchObject({
      code: "machine-ended",
      next: expect.stringContaining(`start-instances --instance-ids ${id}`) as string,
    });
  });

  it("never registers with SSM", async () => {
    vi.stubEnv("TUNEUP_AWS_PATIENCE_MS", "1");
    const { name, id } = newStack(aws);
    aws.consoles.set(id, "[  12.3] cloud-init: no route to host\r\n");
    const told = await faultOf(way.link(name).open());
    expect(told).toMatchObject({
      code: "ssm-absent",
      message: expect.stringMatching(/has not registered.*no route to host/) as string,
    });
  });

  it.each([
    ["ExpiredToken", 400, "aws-credentials-expired", /have expired/],
    ["AuthFailure", 401, "aws-credentials-refused", /does not take your credentials/],
    ["UnauthorizedOperation", 403, "aws-forbidden", /may not ec2:DescribeInstances in us-east-1/],
    ["RequestLimitExceeded", 503, "aws-busy", /can't answer ec2:DescribeInstances/],
    ["InvalidParameterValue", 400, "aws-refused", /refuses ec2:DescribeInstances/],
  ])("AWS says %s", async (code, status, expected, message) => {
    aws.refusals.set("DescribeInstances", [{ status, name: code, message: "You can't." }]);
    const told = await faultOf(way.link("nobody").open());
    expect(told).toMatchObject({ code: expected, message: expect.stringMatching(message) as string });
  });

  it("for want of credentials", async () => {
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) vi.stubEnv(name, undefined);
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("HOME", aws.folder);
    const told = await faultOf(way.link("nobody").open());
    expect(told.code).toBe("aws-credentials-missing");
  });

  it("for want of a way to AWS", async () => {
    vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    const told = await faultOf(way.link("nobody").open());
    expect(told.code).toBe("aws-unreachable");
    expect(way.link("nobody").isPassing(told)).toBe(false);
  });

  it.each(["aws", "session-manager-plugin"])("for want of %s on PATH", async (program) => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await rm(join(aws.folder, "bin", program));
    vi.stubEnv("PATH", `${aws.folder}/bin`);
    const told = await faultOf(way.link(name).open());
    expect(told.code).toBe(program === "aws" ? "aws-cli-missing" : "session-plugin-missing");
  });

  it("is asked about without waiting", async () => {
    const { name, id } = newStack(aws, "pending");
    const spec = { kind: "aws", region: "us-east-1", stack: name, dataDirectory: "/data" } as const;
    const host = openAws(spec);
    expect(host).toBeInstanceOf(AwsHost);
    expect(await host.isUp()).toBe(false);
    aws.machines = [{ ...aws.machines[0]!, state: "running" }];
    expect(await host.isUp()).toBe(false);
    aws.online.add(id);
    expect(await host.isUp()).toBe(true);
    aws.machines = [];
    expect(await host.isUp()).toBe(false);
  });
});
