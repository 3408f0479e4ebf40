import { AwsV4Signer } from "aws4fetch";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { afterIdleScript, afterTrainingScript, busyScript, safeMark } from "../../../recipe/aws/ends.ts";
import { callScript, endScript, inGroup } from "../../../recipe/aws/group-scripts.ts";
import { groupUserData, leaseScript } from "../../../recipe/aws/user-data.ts";

/** How a machine of a group ends: the group is to have none before it powers off, or AWS would start another. */
let folder: string;
let base: string;
/** What the group is to have, as AWS has it. */
let desired = 1;
/** What AWS answers instead. */
let refusal: { readonly status: number; readonly body: string } | undefined;
let objects: Map<string, Buffer>;
const at = (path: string): string => join(folder, path);
const role = { AccessKeyId: "ASIACANARY", SecretAccessKey: "secret-canary", Token: "token/canary+=" };

const server = createServer((request, response) => {
  void text(request).then(async (body) => {
    const path = request.url ?? "";
    if (path === "/latest/api/token" && request.method === "PUT") return response.end("session");
    if (path.startsWith("/latest/")) {
      if (request.headers["x-aws-ec2-metadata-token"] !== "session") return response.writeHead(401).end();
      return response.end(path.endsWith("/security-credentials/") ? "the-role" : JSON.stringify(role));
    }
    const service = body === "" ? "s3" : "autoscaling";
    if (!(await isSigned(request, body, service))) return response.writeHead(403).end("SignatureDoesNotMatch");
    if (refusal !== undefined) return response.writeHead(refusal.status).end(refusal.body);
    const object = objects.get(path);
    if (service === "s3") return object === undefined ? response.writeHead(404).end("NoSuchKey") : response.end(object);
    const form = new URLSearchParams(body);
    if (form.get("Action") === "SetDesiredCapacity" && form.get("AutoScalingGroupName") === "tuneup-exp") {
      desired = Number(form.get("DesiredCapacity"));
    }
    return response.end("<SetDesiredCapacityResponse/>");
  });
});

/** As AWS looks at a request: the same is signed again, by another program, at the time that it names. */
async function isSigned(request: IncomingMessage, body: string, service: string): Promise<boolean> {
  const { authorization = "", host = "", "x-amz-date": datetime } = request.headers;
  const names = (/SignedHeaders=([^,]+)/.exec(authorization)?.[1] ?? "").split(";");
  const headers = Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
  const signed = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(host|x-amz-date)$/.test(name)));
  const keys = { accessKeyId: role.AccessKeyId, secretAccessKey: role.SecretAccessKey };
  const signer = new AwsV4Signer({
    ...{ method: request.method ?? "", url: `http://${host}${request.url ?? ""}`, headers: signed, body, ...keys },
    ...{ service, region: "us-east-1", datetime: String(datetime), allHeaders: true },
  });
  const made = await signer.sign();
  return made.headers.get("authorization") === authorization && headers["x-amz-security-token"] === role.Token;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-group-"));
  [desired, refusal] = [1, undefined];
  objects = new Map();
  await Promise.all(["bin", "proc", "data"].map((name) => mkdir(at(name))));
  const scripts = {
    ...{ "aws-call": callScript, "end-machine": endScript({ group: "tuneup-exp", region: "us-east-1" }) },
    ...{ busy: busyScript, lease: inGroup(leaseScript, " now") },
    ...{ "after-training": inGroup(afterTrainingScript), "after-idle": inGroup(afterIdleScript) },
    "bin/systemctl": `#!/bin/sh\necho "$*" >>"${folder}/done"\n`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(at(name), script);
    await chmod(at(name), 0o755);
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  await rm(folder, { recursive: true });
});

async function run(name: string, words: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const env = {
    ...{ PATH: `${folder}/bin:/usr/bin:/bin`, TUNEUP_PROC: at("proc"), no_proxy: "*" },
    ...{ AWS_EC2_METADATA_SERVICE_ENDPOINT: base, AWS_ENDPOINT_URL: base, ...more },
  };
  const { exitCode, all } = await execa(at(name), words, { env, extendEnv: false, all: true, reject: false });
  return { exitCode, said: all, off: (await readFile(at("done"), "utf8").catch(() => "")) === "poweroff\n" };
}

/** A file of so many minutes ago. */
async function file(path: string, minutes: number, content = ""): Promise<void> {
  await mkdir(join(at(path), ".."), { recursive: true });
  await writeFile(at(path), content);
  const time = Date.now() / 1000 - minutes * 60;
  await utimes(at(path), time, time);
}

describe("what asks AWS", () => {
  it("says by the machine's role that the group is to have no machine", async () => {
    expect(await run("aws-call", ["leave", "us-east-1", "tuneup-exp"])).toMatchObject({ exitCode: 0, said: "" });
    expect(desired).toBe(0);
  });

  it("fetches an object whole, or says that it is not there", async () => {
    const bytes = Buffer.alloc(3_000_000, "tuneup ");
    objects.set("/bucket/exp/runs/a%20b%2Bc/x", bytes);
    const fetched = await run("aws-call", ["fetch", "us-east-1", "bucket", "exp/runs/a b+c/x", at("x")]);
    expect(fetched).toMatchObject({ exitCode: 0, said: "" });
    expect((await readFile(at("x"))).equals(bytes)).toBe(true);
    expect(await run("aws-call", ["fetch", "us-east-1", "bucket", "none", at("y")])).toMatchObject({ exitCode: 4 });
  });

  it("says what AWS refuses, without a key", async () => {
    refusal = { status: 403, body: "<Code>AccessDenied</Code>" };
    const { exitCode, said } = await run("aws-call", ["leave", "us-east-1", "tuneup-exp"]);
    expect(said).toBe("tuneup: AWS refuses leave: HTTP 403 <Code>AccessDenied</Code>");
    expect(exitCode).toBe(1);
    expect(desired).toBe(1);
  });

  it("asks no proxy for the role's keys", async () => {
    const dead = { http_proxy: "http://127.0.0.1:9", no_proxy: "127.0.0.1:1" };
    const { said } = await run("aws-call", ["leave", "us-east-1", "tuneup-exp"], dead);
    // What is asked of AWS itself goes by it.
    expect(said).toMatch(/^tuneup: AWS does not answer leave: .*refused/);
    expect(said).not.toContain("canary");
  });
});

const long: [string, () => Promise<{ off: boolean; said: string }>][] = [
  ["after-idle", () => run("after-idle", [at("data"), at("begun"), at("seen"), "30"])],
  ["after-training", () => run("after-training", [at("data"), at("begun")])],
];

describe.each(long)("%s", (_name, end) => {
  beforeEach(async () => {
    await file("begun", 90);
    await file(`data/${safeMark}`, 1, "exp-1");
  });

  it("leaves no machine to start: the group first, then the power", async () => {
    const { off, said } = await end();
    expect({ off, desired }).toEqual({ off: true, desired: 0 });
    expect(said).toMatch(/^tuneup: this machine ends: /);
  });

  it("stays on where the group can't be told, and ends at a later look", async () => {
    refusal = { status: 500, body: "" };
    const first = await end().catch((thrown: unknown) => thrown);
    expect(first).toMatchObject({ off: false });
    refusal = undefined;
    expect(await end()).toMatchObject({ off: true });
    expect(desired).toBe(0);
  });
});

describe("the lease", () => {
  const lease = async (end: number) => {
    await file("end", 0, `${end}\n`);
    return run("lease", [at("end"), "0"]);
  };
  const second = (): number => Math.floor(Date.now() / 1000);

  it("of a machine that came in another's place ends with that of the first", async () => {
    expect(await lease(second() + 60)).toMatchObject({ off: false, exitCode: 0 });
    expect(desired).toBe(1);
    expect(await lease(second() - 1)).toMatchObject({ off: true });
    expect(desired).toBe(0);
  });

  it("ends a machine that is cut off too", async () => {
    const dead = { AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:9" };
    await file("end", 0, "1\n");
    const { off, said } = await run("lease", [at("end"), "0"], dead);
    expect(off).toBe(true);
    expect(said).toContain("the group of this machine could not be told that it ends.");
    expect(desired).toBe(1);
  });
});

describe("the user data of a group", () => {
  const start = { group: "tuneup-exp", region: "us-east-1", expiry: "2026-11-28T12:00:00Z" };

  it("has the end as a time, and every end goes by the group", () => {
    const told = groupUserData({ ...start, ends: { afterTraining: true, idleMinutes: 30 } });
    const config = JSON.parse(told.replace("#cloud-config\n", "")) as {
      write_files: { path: string; content: string; permissions: string }[];
      runcmd: string[][];
    };
    const files = new Map(config.write_files.map(({ path, content }) => [path, content]));
    expect(files.get("/var/lib/tuneup-lease/end")).toBe(`${Date.parse(start.expiry) / 1000}\n`);
    const off = [...files].filter(([, content]) => content.includes("systemctl poweroff")).map(([path]) => path);
    expect(off).toEqual(["/usr/local/lib/tuneup/end-machine"]);
    expect(config.runcmd.flat()).toContain("tuneup-lease.timer");
    expect(config.runcmd.at(-1)?.at(-1)).toMatch(
      /chmod 700 \/var\/lib\/tuneup && echo "tuneup: the machine is ready\."$/,
    );
    // EC2 takes 16 KiB.
    expect(Buffer.byteLength(told)).toBeLessThan(16_000);
  });

  it("takes no name that a shell would read", () => {
    expect(() => groupUserData({ ...start, group: "a;b" })).toThrow(RangeError);
    expect(() => groupUserData({ ...start, expiry: "soon" })).toThrow(RangeError);
  });
});
