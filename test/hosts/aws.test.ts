import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "../../hosts/connect.ts";
import { faultOf, links, newStack } from "./aws-stage.ts";
import { type FakeAws, fakeAws, hasSshd } from "./fake-aws.ts";

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

describe.skipIf(!hasSshd)("the way to a machine", () => {
  it("is OpenSSH through SSM with a key that is let in for each connection, and shown to nobody else", async () => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.boot("done", "tuneup: the machine is ready.\n");
    const machine = way.link(name);
    await machine.open();
    expect(await machine.script("echo hello; echo tuneup end")).toContain("hello");
    expect(await aws.calls()).toEqual([
      `ssm start-session --region us-east-1 --target ${id} --document-name AWS-StartSSHSession --parameters portNumber=22`,
    ]);
    const [admitted = ""] = aws.admitted;
    expect(admitted).toMatch(new RegExp(`^${id} \\S+ ssh-ed25519 \\S+`));
    const folder = join(aws.folder, "home/aws", name);
    expect((await stat(folder)).mode & 0o077).toBe(0);
    expect((await stat(join(folder, "id_ed25519"))).mode & 0o077).toBe(0);
    expect(await readdir(folder)).toEqual(["id_ed25519", "known_hosts", "session.log"]);
    expect(await readFile(join(folder, "known_hosts"), "utf8")).toMatch(new RegExp(`^${id} ssh-ed25519`));
    // What is open is taken as it is; what was closed is opened with the key let in anew.
    await machine.open();
    expect(aws.admitted).toHaveLength(1);
    await machine.close();
    await rm(join(aws.folder, "authorized_keys"));
    await machine.open();
    expect(aws.admitted).toHaveLength(2);
  });

  it("goes to whichever machine has the tags, and takes the host key of each for itself", async () => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.boot("done", "");
    const machine = way.link(name);
    await machine.open();
    await machine.close();
    const next = { id: `${id.slice(0, -1)}f`, state: "running", stack: name };
    aws.machines = [{ ...aws.machines[0]!, state: "terminated" }, next];
    aws.online.add(next.id);
    await machine.open();
    expect((await aws.calls()).at(-1)).toContain(next.id);
    expect(aws.admitted.at(-1)).toContain(next.id);
  });

  it("waits for the machine, for SSM and for the first start, and says for which", async () => {
    const { name, id } = newStack(aws, "pending");
    await aws.boot("running", "tuneup: the volume is blank and is formatted.\n");
    const steps: [RegExp, () => unknown][] = [
      [/ starts$/, () => (aws.machines = [{ ...aws.machines[0]!, state: "running" }])],
      [/ runs; waiting until SSM knows it$/, () => aws.online.add(id)],
      [/^the first start of i-\S+: the volume is blank/, () => aws.boot("done", "")],
    ];
    const said: string[] = [];
    await way.link(name).open({
      onProgress: ({ message }) => {
        if (said.at(-1) === message) return;
        said.push(message);
        const [line, then] = steps[said.length - 1] ?? [];
        if (line?.test(message) === true) then?.();
      },
    });
    expect(said).toHaveLength(3);
    for (const [at, [line]] of steps.entries()) expect(said[at]).toMatch(line);
  });

  it("runs the agent's commands and opens tunnels like any other host", async () => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.boot("done", "");
    const host = await connect({
      kind: "aws",
      region: "us-east-1",
      stack: name,
      dataDirectory: join(aws.folder, "data"),
      offline: true,
    });
    try {
      expect(host.isHere).toBe(false);
      expect((await host.run("preflight", {})).cores).toBeGreaterThan(0);
      await host.noteSafe?.("demo-0123456789ab");
      expect(await readFile(join(aws.folder, "data/ends/safe"), "utf8")).toBe("demo-0123456789ab\n");
      const port = Number(new URL(process.env["AWS_ENDPOINT_URL"]!).port);
      const tunnel = await host.tunnel(port);
      expect(aws.admitted).toHaveLength(2);
      const answer = await fetch(`http://127.0.0.1:${tunnel.port}/`, {
        method: "POST",
        body: "Action=GetConsoleOutput",
      });
      expect(answer.status).toBe(200);
      await tunnel.close();
    } finally {
      await host.close();
    }
  });

  it("tells how the first start failed, with the end of its own log", async () => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.boot("error", "tuneup: the volume is attached.\nmkfs.ext4: no room\nFailed to run module scripts-user\n");
    const told = await faultOf(way.link(name).open());
    expect(told.code).toBe("boot-failed");
    expect(told.message).toMatch(/first start of i-\S+ failed.*mkfs\.ext4: no room \/ Failed to run module/);
  });

  it("goes on where cloud-init stumbled over something else after our steps were done", async () => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.boot("error", "tuneup: the machine is ready.\nsome module failed\n");
    await way.link(name).open();
  });

  it.each([
    [
      "An error occurred (TargetNotConnected) when calling the StartSession operation",
      "machine-unreachable",
      /SSM has no connection/,
    ],
    [
      "SessionManagerPlugin is not found. Please refer to SessionManager Documentation",
      "session-plugin-missing",
      /not on PATH/,
    ],
    [
      "An error occurred (AccessDeniedException) when calling the StartSession operation: User: arn:aws:iam::1:user/x is not authorized to perform: ssm:StartSession on resource: y",
      "aws-forbidden",
      /may not ssm:StartSession in us-east-1/,
    ],
    [
      "An error occurred (ExpiredTokenException) when calling the StartSession operation",
      "aws-credentials-expired",
      /have expired/,
    ],
    [
      'Unable to locate credentials. You can configure credentials by running "aws configure".',
      "aws-credentials-missing",
      /Unable to locate/,
    ],
  ])("%s", async (words, code, message) => {
    vi.stubEnv("TUNEUP_AWS_PATIENCE_MS", "1");
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.refuse(`${words}\n`);
    const told = await faultOf(way.link(name).open());
    expect(told).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it("tries again while a machine that has just come up does not let in", async () => {
    const { name, id } = newStack(aws);
    aws.online.add(id);
    await aws.boot("done", "");
    await aws.refuse("An error occurred (TargetNotConnected) when calling the StartSession operation\n");
    const said: string[] = [];
    await way.link(name).open({
      onProgress: ({ message }) => {
        said.push(message);
        void aws.refuse(undefined);
      },
    });
    expect(said[0]).toBe(`${id} runs; waiting until it lets in`);
  });
});
