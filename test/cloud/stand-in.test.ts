import { afterAll, beforeAll, expect, test } from "vitest";
import { sharedHome } from "../fixtures/home.ts";
import { type Kept, ProviderClient } from "../fixtures/provider-client.ts";
import { AwsProvider } from "../providers/aws/provider.ts";
import { serve, type Served } from "../providers/protocol/server.ts";
import { type Moto, startMoto } from "./moto.ts";

/** The stand-in for Pulumi's provider for AWS does what the official one does, as far as the target aws rests on it. */
const variables = { AWS_ACCESS_KEY_ID: "testing", AWS_SECRET_ACCESS_KEY: "testing" };
const urn = (type: string): string => `urn:pulumi:exp::tuneup::tuneup:components:AwsTarget$aws:${type}::thing`;
const ofVolume = urn("ebs/volume:Volume");
const volume = { availabilityZone: "us-east-1a", encrypted: true, size: 20, type: "gp3", tags: { a: "1", b: "2" } };
let moto: Moto;
let served: Served;
let engine: ProviderClient;
let made: Kept;

beforeAll(async () => {
  moto = await startMoto(sharedHome);
  Object.assign(process.env, variables, { AWS_ENDPOINT_URL: moto.address });
  served = await serve(new AwsProvider());
  engine = new ProviderClient(served.port);
  await engine.configure({ region: "us-east-1" });
});
afterAll(async () => {
  engine.close();
  served.close();
  await moto.stop();
  for (const name of [...Object.keys(variables), "AWS_ENDPOINT_URL"]) Reflect.deleteProperty(process.env, name);
});

test("a volume is made, grown in place, tagged anew, and made anew for another zone", async () => {
  made = await engine.create(ofVolume, await engine.check(ofVolume, volume));
  expect(made.id).toMatch(/^vol-/);
  const news = { ...volume, size: 30, tags: { a: "1", c: "3" } };
  expect(await engine.diff(ofVolume, made, news)).toMatchObject({ changes: true, replaces: [] });
  made = await engine.update(ofVolume, made, news);
  expect((await engine.read(ofVolume, made)).outputs).toMatchObject({ size: 30, tags: { a: "1", c: "3" } });
  expect((await engine.diff(ofVolume, made, { ...news, availabilityZone: "us-east-1b" })).replaces).toEqual([
    "availabilityZone",
  ]);
});

test("an import takes what is there, and nothing differs from inputs that say the same", async () => {
  const imported = await engine.read(ofVolume, { id: made.id, outputs: {}, inputs: {} });
  expect(await engine.diff(ofVolume, imported, made.inputs)).toMatchObject({ changes: false });
});

test("what is gone is read as gone", async () => {
  await engine.delete(ofVolume, made);
  expect((await engine.read(ofVolume, made)).id).toBe("");
  // A second time too: the engine may not know of the first.
  await engine.delete(ofVolume, made);
});

test("a name is made of the resource's and kept", async () => {
  const ofRole = urn("iam/role:Role");
  const inputs = await engine.check(ofRole, { assumeRolePolicy: "{}" }, {}, new Uint8Array([1, 2, 3]));
  expect(inputs["name"]).toMatch(/^thing-[0-9a-f]{7}$/);
  expect((await engine.check(ofRole, { assumeRolePolicy: "{}" }, inputs))["name"]).toBe(inputs["name"]);
});

test("a machine is made anew for its user data only where the program says so", async () => {
  const ofInstance = urn("ec2/instance:Instance");
  const inputs = { ami: "ami-1", instanceType: "g6.xlarge", userData: "one" };
  const kept = { id: "i-1", outputs: inputs, inputs };
  expect((await engine.diff(ofInstance, kept, { ...inputs, userData: "two" })).replaces).toEqual([]);
  const forced = { ...inputs, userDataReplaceOnChange: true };
  const news = { ...forced, userData: "two", instanceType: "g6.2xlarge" };
  const { replaces, differences } = await engine.diff(ofInstance, { ...kept, inputs: forced }, news);
  expect(replaces).toEqual(["userData"]);
  expect(differences["instanceType"]).toBe("UPDATE");
});

test("what AWS refuses is told in the official provider's frames", async () => {
  const ofAttachment = urn("ec2/volumeAttachment:VolumeAttachment");
  const inputs = { deviceName: "/dev/sdf", instanceId: "i-0123456789abcdef0", volumeId: "vol-0123456789abcdef0" };
  await expect(engine.create(ofAttachment, inputs)).rejects.toThrow(
    /^sdk-v2\/.*creating EBS Volume Attachment: .*StatusCode: 400, .*api error Invalid\w+\.NotFound: .*: provider=aws@\d/,
  );
});
