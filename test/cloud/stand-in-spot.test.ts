import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { sharedHome } from "../fixtures/home.ts";
import { ProviderClient } from "../fixtures/provider-client.ts";
import { AwsProvider } from "../providers/aws/provider.ts";
import { serve, type Served } from "../providers/protocol/server.ts";
import { type Moto, startMoto } from "./moto.ts";

/** What the stand-in for Pulumi's provider for AWS does for a group of spot capacity, its template and its bucket. */
const urn = (type: string): string => `urn:pulumi:exp::tuneup::tuneup:components:AwsSpotTarget$aws:${type}::thing`;
const [ofTemplate, ofGroup] = [urn("ec2/launchTemplate:LaunchTemplate"), urn("autoscaling/group:Group")];
const ofBucket = urn("s3/bucket:Bucket");
const tags = { "tuneup:project": "tuneup", "tuneup:stack": "exp" };
let moto: Moto;
const provider = new AwsProvider();
let served: Served;
let engine: ProviderClient;

beforeAll(async () => {
  moto = await startMoto(sharedHome);
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) vi.stubEnv(name, "testing");
  vi.stubEnv("AWS_ENDPOINT_URL", moto.address);
  served = await serve(provider);
  engine = new ProviderClient(served.port);
  await engine.configure({ region: "us-east-1" });
});
afterAll(async () => {
  engine.close();
  served.close();
  await moto.stop();
  vi.unstubAllEnvs();
});

const make = async (type: string, inputs: Record<string, unknown>) =>
  engine.create(type, await engine.check(type, inputs));

const template = {
  ...{ imageId: "ami-12c6146b", userData: Buffer.from("one").toString("base64"), updateDefaultVersion: true },
  metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
  tags,
};

function groupOf(templateId: string, version: string) {
  return {
    ...{ name: "tuneup-exp", minSize: 0, maxSize: 1, desiredCapacity: 1 },
    ...{ capacityRebalance: true, waitForCapacityTimeout: "1m" },
    mixedInstancesPolicy: {
      instancesDistribution: { onDemandBaseCapacity: 0, onDemandPercentageAboveBaseCapacity: 0 },
      launchTemplate: {
        launchTemplateSpecification: { launchTemplateId: templateId, version },
        overrides: [{ instanceType: "g4dn.xlarge" }, { instanceType: "g5.xlarge" }],
      },
    },
    availabilityZones: ["us-east-1a"],
    tags: Object.entries(tags).map(([key, value]) => ({ key, value, propagateAtLaunch: true })),
  };
}

test("a template's change is a new version of it, which the group is told", async () => {
  let made = await make(ofTemplate, template);
  expect(made.id).toMatch(/^lt-/);
  expect(made.outputs).toMatchObject({ latestVersion: 1, defaultVersion: 1 });
  const news = { ...made.inputs, userData: Buffer.from("two").toString("base64") };
  expect(await engine.diff(ofTemplate, made, news)).toMatchObject({ changes: true, replaces: [] });
  made = await engine.update(ofTemplate, made, news);
  expect(made.outputs).toMatchObject({ latestVersion: 2, defaultVersion: 2 });
  made = await engine.update(ofTemplate, made, { ...news, tags: { ...tags, more: "1" } });
  expect((await engine.read(ofTemplate, made)).outputs).toMatchObject({ latestVersion: 2, tags: { more: "1" } });
  await engine.delete(ofTemplate, made);
  expect((await engine.read(ofTemplate, made)).id).toBe("");
});

test("a group has its machine when it is made, is found by its tags, and leaves none", async () => {
  const { id, outputs } = await make(ofTemplate, template);
  let made = await make(ofGroup, groupOf(id, String(outputs["latestVersion"])));
  expect(await engine.diff(ofGroup, made, made.inputs)).toMatchObject({ changes: false });
  const filters = Object.entries(tags).map(([key, value]) => ({ name: `tag:${key}`, values: [value] }));
  expect(await provider.invoke("aws:autoscaling/getAmiIds:getAmiIds", { filters })).toMatchObject({
    names: ["tuneup-exp"],
  });
  const running = async () => {
    const asked = { instanceTags: tags, instanceStateNames: ["running"] };
    return (await provider.invoke("aws:ec2/getInstances:getInstances", asked))["ids"];
  };
  expect(await running()).toHaveLength(1);
  made = await engine.update(ofGroup, made, { ...made.inputs, desiredCapacity: 0 });
  expect(await provider.invoke("aws:autoscaling/getGroup:getGroup", { name: "tuneup-exp" })).toMatchObject({
    desiredCapacity: 0,
    mixedInstancesPolicies: [{ instancesDistributions: [{ onDemandBaseCapacity: 0 }] }],
  });
  expect(await running()).toEqual([]);
  await engine.delete(ofGroup, made);
  expect((await engine.read(ofGroup, made)).id).toBe("");
  await engine.delete(ofGroup, made);
});

test("a bucket is adopted as it is, and its settings are put over those that are there", async () => {
  const bucket = { bucket: "tuneup-exp-1", tags: { ...tags, "tuneup:bucket": "runs" } };
  const made = await make(ofBucket, bucket);
  const settings = {
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": { blockPublicAcls: true, blockPublicPolicy: true },
    "s3/bucketVersioning:BucketVersioning": { versioningConfiguration: { status: "Enabled" } },
    "s3/bucketPolicy:BucketPolicy": { policy: '{"Version":"2012-10-17","Statement":[]}' },
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
      rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
    },
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
      rules: [
        {
          id: "tuneup",
          status: "Enabled",
          filter: { prefix: "" },
          abortIncompleteMultipartUpload: { daysAfterInitiation: 2 },
        },
      ],
    },
  };
  for (const [type, inputs] of Object.entries(settings)) {
    for (const attempt of [1, 2]) {
      const one = await make(urn(type), { ...inputs, bucket: "tuneup-exp-1" });
      expect(
        await engine.diff(urn(type), await engine.read(urn(type), one), one.inputs),
        `${type} ${attempt}`,
      ).toMatchObject({ changes: false });
    }
  }
  const imported = await engine.read(ofBucket, { id: made.id, outputs: {}, inputs: {} });
  expect(await engine.diff(ofBucket, imported, bucket)).toMatchObject({ changes: false });
  const tagFilters = [{ key: "tuneup:bucket", values: ["runs"] }];
  const found = { tagFilters, resourceTypeFilters: ["s3"] };
  expect(await provider.invoke("aws:resourcegroupstaggingapi/getResources:getResources", found)).toMatchObject({
    resourceTagMappingLists: [{ resourceArn: "arn:aws:s3:::tuneup-exp-1", tags: bucket.tags }],
  });
  for (const type of Object.keys(settings)) {
    await engine.delete(urn(type), { id: "tuneup-exp-1", outputs: {}, inputs: { bucket: "tuneup-exp-1" } });
  }
  await engine.delete(ofBucket, made);
  expect((await engine.read(ofBucket, made)).id).toBe("");
});

test("an image tells its root disk, and a region its zones", async () => {
  const filters = [{ name: "image-id", values: ["ami-12c6146b"] }];
  const image = await provider.invoke("aws:ec2/getAmi:getAmi", { filters });
  expect(image["rootDeviceName"]).toMatch(/^\/dev\//);
  const zones = { filters: [{ name: "zone-type", values: ["availability-zone"] }] };
  expect((await provider.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", zones))["names"]).toContain(
    "us-east-1a",
  );
});
