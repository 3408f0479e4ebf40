import { ComponentResource, type ComponentResourceOptions, type Resource } from "../provider/pulumi.ts";
import { Bucket } from "@pulumi/aws/s3/bucket.js";
import { BucketLifecycleConfiguration } from "@pulumi/aws/s3/bucketLifecycleConfiguration.js";
import { BucketPolicy } from "@pulumi/aws/s3/bucketPolicy.js";
import { BucketPublicAccessBlock } from "@pulumi/aws/s3/bucketPublicAccessBlock.js";
import { BucketServerSideEncryptionConfiguration } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js";
import { BucketVersioning } from "@pulumi/aws/s3/bucketVersioning.js";
import { cutUploadDays, oldVersionDays } from "../recipe/aws/bucket.ts";
import { onlyByTls } from "../recipe/aws/documents.ts";
import { kept, tagNames, type Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsBucket. */
export interface AwsBucketArgs {
  readonly bucketName: string;
  readonly region: string;
  readonly tags: Tags;
  /** Tags of the stack's bucket that is there already, which it keeps. Default: a new one is made. */
  readonly found?: Tags | undefined;
}

/**
 * What a run leaves where no machine of a stack stays: closed to the public, by TLS alone, encrypted, with versions for a week. `destroy` leaves it as
 * it is, and the next `up` takes it up again. Costs 0.023 USD a GiB and month (us-east-1) and its requests, until someone deletes it.
 */
export class AwsBucket extends ComponentResource {
  /** `s3://bucket`, as `storage.artifacts` has it. */
  public readonly address: string;
  /** What has to be there before something is put in. */
  public readonly ready: readonly Resource[];

  constructor(name: string, args: AwsBucketArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsBucket", name, {}, options);
    const { bucketName, region, tags, found } = args;
    // What locks it is left with it.
    const own = { parent: this, retainOnDelete: true };
    const bucket = new Bucket(
      name,
      {
        bucket: bucketName,
        tags: { ...(found ?? { ...tags, [tagNames.expiry]: kept, [tagNames.bucket]: "runs", Name: bucketName }) },
      },
      { ...own, ...(found === undefined ? {} : { import: bucketName }) },
    );
    const locked = new BucketPublicAccessBlock(
      name,
      {
        bucket: bucket.bucket,
        ...{ blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      },
      own,
    );
    const parts = [locked, ...this.#parts(name, bucket, onlyByTls(bucketName, region))];
    this.address = `s3://${bucketName}`;
    this.ready = parts;
    this.registerOutputs({ address: this.address });
  }

  #parts(name: string, { bucket }: Bucket, policy: string): Resource[] {
    const own = { parent: this, retainOnDelete: true };
    const versions = new BucketVersioning(name, { bucket, versioningConfiguration: { status: "Enabled" } }, own);
    const rule = {
      ...{ id: "tuneup", status: "Enabled", filter: { prefix: "" } },
      noncurrentVersionExpiration: { noncurrentDays: oldVersionDays },
      expiration: { expiredObjectDeleteMarker: true },
      abortIncompleteMultipartUpload: { daysAfterInitiation: cutUploadDays },
    };
    return [
      new BucketPolicy(name, { bucket, policy }, own),
      versions,
      new BucketServerSideEncryptionConfiguration(
        name,
        { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
        own,
      ),
      new BucketLifecycleConfiguration(name, { bucket, rules: [rule] }, { ...own, dependsOn: [versions] }),
    ];
  }
}
