import type { LifecycleRule, ServerSideEncryptionRule } from "@aws-sdk/client-s3";
import type * as s3Types from "@pulumi/aws/s3/index.js";
import type { Unwrap } from "@pulumi/pulumi";
import { type Clients, found } from "../clients.ts";
import { given, kind, tagBag, tagList } from "../kind.ts";

export const bucket = kind<s3Types.BucketArgs>({
  title: "S3 Bucket",
  replaces: ["bucket", "bucketPrefix"],
  async create({ s3, region }, inputs) {
    const name = given(inputs.bucket, "bucket");
    await s3.createBucket({
      Bucket: name,
      ...(region === "us-east-1" ? {} : { CreateBucketConfiguration: { LocationConstraint: region as "eu-west-1" } }),
    });
    return name;
  },
  async settle(aws, id, { tags }) {
    if (tags !== undefined) await tagBucket(aws, id, tags);
  },
  async read({ s3, region }, id) {
    const live = await found(s3.headBucket({ Bucket: id }));
    if (live === undefined) return undefined;
    const { TagSet } = (await found(s3.getBucketTagging({ Bucket: id }))) ?? {};
    return { bucket: id, tags: tagBag(TagSet), arn: `arn:aws:s3:::${id}`, region };
  },
  async delete({ s3 }, id) {
    await found(s3.deleteBucket({ Bucket: id }));
  },
});

/** Gives a bucket these tags instead of those that it has: S3 knows them as one set. */
export async function tagBucket({ s3 }: Clients, name: string, tags: Readonly<Record<string, string>>): Promise<void> {
  await s3.putBucketTagging({ Bucket: name, Tagging: { TagSet: tagList(tags) } });
}

export const publicAccessBlock = kind<s3Types.BucketPublicAccessBlockArgs>({
  title: "S3 Bucket Public Access Block",
  replaces: ["bucket"],
  async create({ s3 }, inputs) {
    await s3.putPublicAccessBlock({
      Bucket: inputs.bucket,
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: inputs.blockPublicAcls,
        BlockPublicPolicy: inputs.blockPublicPolicy,
        IgnorePublicAcls: inputs.ignorePublicAcls,
        RestrictPublicBuckets: inputs.restrictPublicBuckets,
      },
    });
    return inputs.bucket;
  },
  async read({ s3 }, id) {
    const live = (await found(s3.getPublicAccessBlock({ Bucket: id })))?.PublicAccessBlockConfiguration;
    if (live === undefined) return undefined;
    return {
      bucket: id,
      ...{ blockPublicAcls: live.BlockPublicAcls, blockPublicPolicy: live.BlockPublicPolicy },
      ...{ ignorePublicAcls: live.IgnorePublicAcls, restrictPublicBuckets: live.RestrictPublicBuckets },
    };
  },
  async delete({ s3 }, id) {
    await found(s3.deletePublicAccessBlock({ Bucket: id }));
  },
});

export const bucketPolicy = kind<s3Types.BucketPolicyArgs>({
  title: "S3 Bucket Policy",
  replaces: ["bucket"],
  async create({ s3 }, { bucket: name, policy }) {
    await s3.putBucketPolicy({ Bucket: name, Policy: typeof policy === "string" ? policy : JSON.stringify(policy) });
    return name;
  },
  async read({ s3 }, id) {
    const live = await found(s3.getBucketPolicy({ Bucket: id }));
    return live?.Policy === undefined ? undefined : { bucket: id };
  },
  async delete({ s3 }, id) {
    await found(s3.deleteBucketPolicy({ Bucket: id }));
  },
});

export const bucketVersioning = kind<s3Types.BucketVersioningArgs>({
  title: "S3 Bucket Versioning",
  replaces: ["bucket"],
  async create({ s3 }, { bucket: name, versioningConfiguration: { status } }) {
    await s3.putBucketVersioning({
      Bucket: name,
      VersioningConfiguration: { Status: status === "Enabled" ? "Enabled" : "Suspended" },
    });
    return name;
  },
  async read({ s3 }, id) {
    const live = await found(s3.getBucketVersioning({ Bucket: id }));
    return live?.Status === undefined ? undefined : { bucket: id, versioningConfiguration: { status: live.Status } };
  },
  async delete({ s3 }, id) {
    await found(s3.putBucketVersioning({ Bucket: id, VersioningConfiguration: { Status: "Suspended" } }));
  },
});

type Encryption = Unwrap<s3Types.BucketServerSideEncryptionConfigurationArgs>["rules"];

function encryptionRules(rules: Encryption): ServerSideEncryptionRule[] {
  return rules.map(({ applyServerSideEncryptionByDefault: how }) => ({
    ApplyServerSideEncryptionByDefault: { SSEAlgorithm: how?.sseAlgorithm === "aws:kms" ? "aws:kms" : "AES256" },
  }));
}

export const bucketEncryption = kind<s3Types.BucketServerSideEncryptionConfigurationArgs>({
  title: "S3 Bucket Server-side Encryption Configuration",
  replaces: ["bucket"],
  async create({ s3 }, { bucket: name, rules }) {
    const ServerSideEncryptionConfiguration = { Rules: encryptionRules(rules) };
    await s3.putBucketEncryption({ Bucket: name, ServerSideEncryptionConfiguration });
    return name;
  },
  async read({ s3 }, id) {
    const live = await found(s3.getBucketEncryption({ Bucket: id }));
    return live?.ServerSideEncryptionConfiguration === undefined ? undefined : { bucket: id };
  },
  async delete({ s3 }, id) {
    await found(s3.deleteBucketEncryption({ Bucket: id }));
  },
});

type Rules = NonNullable<Unwrap<s3Types.BucketLifecycleConfigurationArgs>["rules"]>;

function lifecycleRules(rules: Rules): LifecycleRule[] {
  return rules.map((rule) => ({
    ...{ ID: rule.id, Status: rule.status === "Enabled" ? "Enabled" : "Disabled" },
    Filter: { Prefix: rule.filter?.prefix ?? "" },
    NoncurrentVersionExpiration: { NoncurrentDays: rule.noncurrentVersionExpiration?.noncurrentDays },
    Expiration: { ExpiredObjectDeleteMarker: rule.expiration?.expiredObjectDeleteMarker },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: rule.abortIncompleteMultipartUpload?.daysAfterInitiation },
  }));
}

export const bucketLifecycle = kind<s3Types.BucketLifecycleConfigurationArgs>({
  title: "S3 Bucket Lifecycle Configuration",
  replaces: ["bucket"],
  async create({ s3 }, { bucket: name, rules = [] }) {
    const LifecycleConfiguration = { Rules: lifecycleRules(rules) };
    await s3.putBucketLifecycleConfiguration({ Bucket: name, LifecycleConfiguration });
    return name;
  },
  async read({ s3 }, id) {
    const live = await found(s3.getBucketLifecycleConfiguration({ Bucket: id }));
    return live?.Rules === undefined ? undefined : { bucket: id };
  },
  async delete({ s3 }, id) {
    await found(s3.deleteBucketLifecycle({ Bucket: id }));
  },
});
