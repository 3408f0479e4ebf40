import { expect, it } from "vitest";
import { bucketArn, bucketIn, bucketName } from "../../../recipe/aws/bucket.ts";
import { onlyByTls } from "../../../recipe/aws/documents.ts";

const place = { stack: "exp", account: "123456789012", region: "us-east-1" };

it("has the stack in its name, and one of its own in each account and region", () => {
  expect(bucketName(place)).toMatch(/^tuneup-exp-[0-9a-f]{12}$/);
  expect(bucketName(place)).toBe(bucketName({ ...place }));
  const others = [{ account: "210987654321" }, { region: "eu-west-1" }, { stack: "Exp" }, { stack: "exp2" }];
  const names = others.map((change) => bucketName({ ...place, ...change }));
  expect(new Set([bucketName(place), ...names]).size).toBe(others.length + 1);
});

it.each(["A.b_C", "x".repeat(100), `${"x".repeat(39)}--`, "ünïcode", "...", "7"])(
  "is one that S3 takes for %s",
  (stack) => {
    expect(bucketName({ ...place, stack })).toMatch(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/);
  },
);

it("is told by its ARN, and nothing else is", () => {
  for (const region of ["us-east-1", "cn-north-1", "us-gov-west-1"]) {
    expect(bucketIn(bucketArn("tuneup-exp", region))).toBe("tuneup-exp");
  }
  expect(bucketIn("arn:aws:s3:::tuneup-exp/key")).toBeUndefined();
  expect(bucketIn("arn:aws:ec2:us-east-1:123456789012:volume/vol-1")).toBeUndefined();
});

it("refuses everyone what comes without TLS, for itself and all that is in it", () => {
  expect(JSON.parse(onlyByTls("b", "cn-north-1"))).toMatchObject({
    Statement: [
      {
        ...{ Effect: "Deny", Principal: "*", Action: "s3:*", Resource: ["arn:aws-cn:s3:::b", "arn:aws-cn:s3:::b/*"] },
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  });
});
