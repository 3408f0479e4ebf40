import { expect, test } from "vitest";
import { violations } from "../../../policies/pack.ts";
import { mayPublish } from "../../../recipe/aws/documents.ts";
import { declaration, publishedFolder } from "../../../recipe/s3-access.ts";

const environment = {
  AWS_ACCESS_KEY_ID: "AKIDCANARY",
  AWS_SECRET_ACCESS_KEY: "secret-canary",
  AWS_SESSION_TOKEN: "token-canary",
  AWS_REGION: "eu-west-1",
  AWS_ENDPOINT_URL: "http://127.0.0.1:9000",
};

test.each([
  ["s3://bucket", "arn:aws:s3:::bucket/exp/runs/*"],
  ["s3://bucket/", "arn:aws:s3:::bucket/exp/runs/*"],
  ["s3://bucket/a/b/", "arn:aws:s3:::bucket/a/b/exp/runs/*"],
])("the role of a machine that publishes to %s has the experiment's runs and nothing else", (artifacts, resource) => {
  const policy = mayPublish(artifacts, "exp", "us-east-1");
  const { Statement } = JSON.parse(policy) as { Statement: { Resource: string; Condition?: unknown }[] };
  expect(Statement.map(({ Resource }) => Resource)).toEqual([resource, "arn:aws:s3:::bucket"]);
  expect(Statement[1]?.Condition).toEqual({
    StringLike: { "s3:prefix": resource.slice("arn:aws:s3:::bucket/".length) },
  });
  const below = publishedFolder(artifacts, "exp", "exp-1").replace("s3://bucket/", "arn:aws:s3:::bucket/");
  expect(below.startsWith(resource.slice(0, -1))).toBe(true);
  expect(violations([{ type: "aws:iam/rolePolicy:RolePolicy", name: "p", urn: "p", inputs: { policy } }])).toEqual([]);
});

test("a run is declared with the caller's keys, on aws with none, and with nothing where it publishes nowhere", () => {
  const spec = { artifacts: "s3://bucket" };
  expect(declaration({}, { kind: "ssh" }, environment)).toEqual({ spec: {} });
  expect(declaration(spec, { kind: "ssh" }, environment).s3).toEqual({
    accessKeyId: "AKIDCANARY",
    secretAccessKey: "secret-canary",
    sessionToken: "token-canary",
    region: "eu-west-1",
    endpoint: "http://127.0.0.1:9000",
  });
  const onAws = declaration(spec, { kind: "aws", region: "us-east-1" }, environment);
  expect(onAws).toEqual({ spec, s3: { region: "us-east-1", endpoint: "http://127.0.0.1:9000" } });
});
