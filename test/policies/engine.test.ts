import { once } from "node:events";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { spawn } from "node:child_process";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import type { AnalyzerClient as Client } from "@pulumi/pulumi/proto/analyzer_grpc_pb.js";
import type * as Messages from "@pulumi/pulumi/proto/analyzer_pb.js";
import type { Struct as StructType } from "google-protobuf/google/protobuf/struct_pb.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { policiesFor } from "../../cli/runnable.ts";
import { resourceRules, stackRules } from "../../policies/pack.ts";
import type { Inputs } from "../../policies/rule.ts";

const load = createRequire(import.meta.url);
const { AnalyzerClient } = load("@pulumi/pulumi/proto/analyzer_grpc_pb.js") as { AnalyzerClient: typeof Client };
const messages = load("@pulumi/pulumi/proto/analyzer_pb.js") as typeof Messages;
const { Struct } = load("google-protobuf/google/protobuf/struct_pb.js") as { Struct: typeof StructType };
const { Empty } = load("google-protobuf/google/protobuf/empty_pb.js") as { Empty: new () => never };

const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const executable = fileURLToPath(new URL("../../policies/pulumi-analyzer-tuneup", import.meta.url));
const pack = spawn(executable, ["127.0.0.1:1"], { stdio: ["ignore", "pipe", "inherit"] });
let client: Client;

beforeAll(async () => {
  // It says its port, as the engine reads it.
  const [port] = (await once(createInterface(pack.stdout), "line")) as [string];
  expect(port).toMatch(/^\d+$/);
  client = new AnalyzerClient(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  pack.kill();
  await once(pack, "exit");
});

const answer = <T>(ask: (done: (error: ServiceError | null, value: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => ask((error, value) => (error === null ? resolve(value) : reject(error))));

async function analyze(type: string, inputs: Inputs) {
  const request = new messages.AnalyzeRequest();
  request.setType(type);
  request.setUrn(`urn:pulumi:a::b::${type}::c`);
  request.setProperties(Struct.fromJavaScript(inputs as Parameters<typeof Struct.fromJavaScript>[0]));
  request.setOptions(new messages.AnalyzerResourceOptions());
  const response = await answer<Messages.AnalyzeResponse>((done) => client.analyze(request, done));
  return response.getDiagnosticsList().map((one) => [one.getPolicyname(), one.getMessage(), one.getEnforcementlevel()]);
}

it("is what `tuneup up` and `preview` give the engine for aws, and for nothing else", async () => {
  expect(await policiesFor("aws-demo")).toEqual({ policyPacks: [executable] });
  for (const other of ["local", "ssh-demo", "k8s-demo"]) expect(await policiesFor(other)).toEqual({});
});

it("tells the engine every rule", async () => {
  const info = await answer<Messages.AnalyzerInfo>((done) => client.getAnalyzerInfo(new Empty(), done));
  const names = info.getPoliciesList().map((policy) => policy.getName());
  expect(names).toEqual([...resourceRules, ...stackRules].map(({ name }) => name));
});

it("stops what breaks a rule, with its sentence", async () => {
  const { MANDATORY } = messages.EnforcementLevel;
  const group = { ingress: [{ fromPort: 22, toPort: 22, cidrBlocks: ["0.0.0.0/0"] }] };
  const [found, ...others] = await analyze("aws:ec2/securityGroup:SecurityGroup", group);
  expect(others).toEqual([]);
  expect(found?.[0]).toBe("no-world-open-port");
  expect(found?.[1]).toContain("0.0.0.0/0 may connect to ports 22 to 22");
  expect(found?.[2]).toBe(MANDATORY);
});

it("lets through what keeps the rules", async () => {
  const group = { ingress: [{ fromPort: 22, toPort: 22, cidrBlocks: ["10.0.0.0/8"] }] };
  expect(await analyze("aws:ec2/securityGroup:SecurityGroup", group)).toEqual([]);
});

it("only warns where a preview does not know a value yet", async () => {
  const [found, ...others] = await analyze("aws:kms/key:Key", { enableKeyRotation: unknown, tags: unknown });
  expect(found?.[1]).toContain("can't run policy 'key-rotation'");
  expect(found?.[2]).toBe(messages.EnforcementLevel.ADVISORY);
  expect(others.map(([name]) => name)).toEqual(["tags"]);
});

/** Two buckets as the engine tells of them after an update; one has its parts, by what they are made from. */
function buckets(): Messages.AnalyzeStackRequest {
  const request = new messages.AnalyzeStackRequest();
  const add = (type: string, name: string, inputs: Inputs, bucket?: string): void => {
    const resource = new messages.AnalyzerResource();
    resource.setType(type);
    resource.setName(name);
    resource.setUrn(`urn:${name}`);
    resource.setOptions(new messages.AnalyzerResourceOptions());
    resource.setProperties(Struct.fromJavaScript(inputs as Parameters<typeof Struct.fromJavaScript>[0]));
    if (bucket !== undefined) {
      const dependencies = new messages.AnalyzerPropertyDependencies();
      dependencies.setUrnsList([`urn:${bucket}`]);
      resource.getPropertydependenciesMap().set("bucket", dependencies);
    }
    request.addResources(resource);
  };
  const deny = {
    Effect: "Deny",
    Principal: "*",
    Action: "s3:*",
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  };
  add("aws:s3/bucket:Bucket", "safe", { bucket: "safe-1" });
  add("aws:s3/bucket:Bucket", "bare", { bucket: "bare-1" });
  add("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "block", {}, "safe");
  add("aws:s3/bucketPolicy:BucketPolicy", "policy", { policy: JSON.stringify({ Statement: [deny] }) }, "safe");
  const versions = { versioningConfiguration: { status: "Enabled" } };
  add("aws:s3/bucketVersioning:BucketVersioning", "versions", versions, "safe");
  return request;
}

it("looks at all resources together", async () => {
  const response = await answer<Messages.AnalyzeResponse>((done) => client.analyzeStack(buckets(), done));
  const found = response.getDiagnosticsList().map((one) => [one.getPolicyname(), one.getUrn()]);
  expect(found).toEqual(Array.from({ length: 3 }, () => ["bucket-safe", "urn:bare"]));
});
