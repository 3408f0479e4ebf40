import { EC2 } from "@aws-sdk/client-ec2";
import { AwsV4Signer } from "aws4fetch";
import { execa } from "execa";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { element } from "../../agent/s3/bucket.ts";
import { deleteBucket, stackBucket } from "../../hosts/aws-bucket.ts";
import { deleteGroup } from "../../hosts/aws-group.ts";
import { callScript, endScript, inGroup } from "../../recipe/aws/group-scripts.ts";
import { leaseScript } from "../../recipe/aws/user-data.ts";
import { sharedHome } from "../fixtures/home.ts";
import { type Moto, startMoto } from "./moto.ts";

/** A group of one and a bucket in moto: every end leaves no machine, and what is deleted is gone. What AWS does by itself, a test does in its place. */
const region = "us-east-1";
const place = { stack: "exp", region };
const group = "tuneup-exp";
const { signal } = new AbortController();
const waiting = { timing: { poll: 50, patience: 60_000 }, tell: () => undefined };
const tags = { "tuneup:project": "tuneup", "tuneup:stack": "exp" };
let moto: Moto;
let ec2: EC2;
let template: string;
let folder: string;
const role = { AccessKeyId: "ASIA", SecretAccessKey: "secret", Token: "token" };
const metadata = createServer((request, response) => {
  const path = request.url ?? "";
  if (path === "/latest/api/token") return response.end("session");
  return response.end(path.endsWith("/security-credentials/") ? "role" : JSON.stringify(role));
});

/** One call of EC2 Auto Scaling, in the words of its query protocol. */
async function scaling(action: string, parameters: Readonly<Record<string, string>>): Promise<string> {
  const body = new URLSearchParams({ Action: action, Version: "2011-01-01", ...parameters }).toString();
  return call("autoscaling", "POST", "/", body);
}

async function call(service: string, method: string, path: string, body = ""): Promise<string> {
  const signer = new AwsV4Signer({
    ...{ method, url: moto.address + path, body, service, region, accessKeyId: "testing", secretAccessKey: "testing" },
    headers: { "content-type": service === "s3" ? "application/xml" : "application/x-www-form-urlencoded" },
  });
  const { url, headers } = await signer.sign();
  const answer = await fetch(url, { method, headers, ...(body === "" ? {} : { body }) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} ${body}: ${text}`);
  return text;
}

async function machines(): Promise<string[]> {
  const Filters = [
    { Name: "tag:tuneup:stack", Values: ["exp"] },
    { Name: "instance-state-name", Values: ["pending", "running"] },
  ];
  const { Reservations = [] } = await ec2.describeInstances({ Filters });
  return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ InstanceId = "" }) => InstanceId));
}

async function desired(): Promise<string | undefined> {
  return element(
    await scaling("DescribeAutoScalingGroups", { "AutoScalingGroupNames.member.1": group }),
    "DesiredCapacity",
  );
}

async function makeGroup(): Promise<void> {
  const policy = "MixedInstancesPolicy.LaunchTemplate";
  await scaling("CreateAutoScalingGroup", {
    ...{ AutoScalingGroupName: group, MinSize: "0", MaxSize: "1", DesiredCapacity: "1" },
    "AvailabilityZones.member.1": `${region}a`,
    [`${policy}.LaunchTemplateSpecification.LaunchTemplateId`]: template,
    [`${policy}.LaunchTemplateSpecification.Version`]: "1",
    [`${policy}.Overrides.member.1.InstanceType`]: "g4dn.xlarge",
    ...Object.fromEntries(
      Object.entries(tags).flatMap(([key, value], index) => [
        [`Tags.member.${index + 1}.Key`, key],
        [`Tags.member.${index + 1}.Value`, value],
        [`Tags.member.${index + 1}.PropagateAtLaunch`, "true"],
      ]),
    ),
  });
}

/** Runs a script of the machine, and does what its power off means to AWS: the machine is terminated, and the group has as many as it is to have. */
async function onMachine(name: string, words: readonly string[]): Promise<boolean> {
  const [id] = await machines();
  const env = {
    ...{ PATH: `${folder}/bin:/usr/bin:/bin`, no_proxy: "*", AWS_ENDPOINT_URL: moto.address },
    AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${(metadata.address() as AddressInfo).port}`,
  };
  await rm(join(folder, "off"), { force: true });
  await execa(join(folder, name), words, { env, extendEnv: false });
  const { exitCode } = await execa("test", ["-e", join(folder, "off")], { reject: false });
  if (exitCode !== 0) return false;
  // moto ends a machine of a group at once where the group is to have fewer.
  if (id !== undefined && (await machines()).includes(id)) await ec2.terminateInstances({ InstanceIds: [id] });
  return true;
}

/** What AWS does some time after a machine is gone: as many as the group is to have. */
async function reconciled(): Promise<void> {
  const wanted = (await desired()) ?? "0";
  await scaling("SetDesiredCapacity", { AutoScalingGroupName: group, DesiredCapacity: wanted });
}

async function script(name: string, content: string): Promise<void> {
  await writeFile(join(folder, name), content);
  await chmod(join(folder, name), 0o755);
}

beforeAll(async () => {
  moto = await startMoto(sharedHome);
  metadata.listen(0, "127.0.0.1");
  await once(metadata, "listening");
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) vi.stubEnv(name, "testing");
  vi.stubEnv("AWS_ENDPOINT_URL", moto.address);
  ec2 = new EC2({ region });
  const made = await ec2.createLaunchTemplate({
    LaunchTemplateName: "tuneup-exp",
    LaunchTemplateData: { ImageId: "ami-12c6146b", InstanceInitiatedShutdownBehavior: "terminate" },
  });
  template = made.LaunchTemplate?.LaunchTemplateId ?? "";
  folder = await mkdtemp(join(tmpdir(), "tuneup-spot-"));
  await mkdir(join(folder, "bin"));
  await script("bin/systemctl", `#!/bin/sh\ntouch "${folder}/off"\n`);
  await script("aws-call", callScript);
  await script("end-machine", endScript({ group, region }));
  await script("lease", inGroup(leaseScript, " now"));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  metadata.closeAllConnections();
  metadata.close();
  await moto.stop();
  await rm(folder, { recursive: true });
});
beforeEach(() => deleteGroup(group, place, waiting));

test("a machine that AWS takes back is followed by another", async () => {
  await makeGroup();
  const [first = ""] = await machines();
  await ec2.terminateInstances({ InstanceIds: [first] });
  await reconciled();
  const after = await machines();
  expect(after).toHaveLength(1);
  expect(after).not.toContain(first);
});

test("the lease of a machine leaves none, also after the group's next look", async () => {
  await makeGroup();
  await writeFile(join(folder, "end"), `${Math.floor(Date.now() / 1000) + 600}\n`);
  expect(await onMachine("lease", [join(folder, "end"), "0"])).toBe(false);
  expect(await machines()).toHaveLength(1);
  // Time moves: the end is past.
  await writeFile(join(folder, "end"), `${Math.floor(Date.now() / 1000) - 1}\n`);
  expect(await onMachine("lease", [join(folder, "end"), "0"])).toBe(true);
  expect(await desired()).toBe("0");
  await reconciled();
  expect(await machines()).toEqual([]);
});

test("an early end leaves none either", async () => {
  await makeGroup();
  expect(await onMachine("end-machine", [])).toBe(true);
  await reconciled();
  expect(await machines()).toEqual([]);
});

test("what the schedule outside sends is a call that AWS has", async () => {
  await makeGroup();
  // As AwsLease writes it: autoscaling:setDesiredCapacity with these two.
  await scaling("SetDesiredCapacity", { AutoScalingGroupName: group, DesiredCapacity: "0" });
  await reconciled();
  expect(await machines()).toEqual([]);
});

test("a group that a killed up left is deleted with its machine", async () => {
  await makeGroup();
  expect(await machines()).toHaveLength(1);
  await deleteGroup(group, place, waiting);
  expect(await desired()).toBeUndefined();
  expect(await machines()).toEqual([]);
  await deleteGroup(group, place, waiting);
});

test("the stack's bucket is found by its tags, and deleted with every version", async () => {
  await call("s3", "PUT", "/tuneup-exp-1");
  const pairs = Object.entries({ ...tags, "tuneup:bucket": "runs" });
  const set = pairs.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`).join("");
  await call("s3", "PUT", "/tuneup-exp-1?tagging=", `<Tagging><TagSet>${set}</TagSet></Tagging>`);
  const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await call("s3", "PUT", "/tuneup-exp-1?versioning=", versioning);
  for (const body of ["one", "two"]) await call("s3", "PUT", "/tuneup-exp-1/exp/runs/a", body);
  await call("s3", "DELETE", "/tuneup-exp-1/exp/runs/a");
  expect(await stackBucket(place)).toBe("tuneup-exp-1");
  await deleteBucket("tuneup-exp-1", region, signal);
  expect(await stackBucket(place)).toBeUndefined();
});
