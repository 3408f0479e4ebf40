import { statementsOf } from "./policy-document.ts";
import {
  belongsTo,
  type DeclaredResource,
  isTrue,
  mapAt,
  type ResourceRule,
  shown,
  type StackRule,
  textsAt,
} from "./rule.ts";

const bucketTypes = ["aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"];
const blockType = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock";
const policyType = "aws:s3/bucketPolicy:BucketPolicy";
const versioningTypes = ["aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketVersioningV2:BucketVersioningV2"];

const locks = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

/** Half of a lock is none. */
export const publicAccessRule: ResourceRule = {
  name: "bucket-lock-complete",
  description: "A lock of a bucket against the public has all of its four parts.",
  known: ["S3.1", "S3.8", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56"],
  check: ({ type, inputs }) =>
    type !== blockType
      ? []
      : locks.flatMap((lock) => (isTrue(inputs[lock]) ? [] : [`${lock} must be true, got ${shown(inputs[lock])}.`])),
};

/** Does a policy of a bucket refuse what comes without TLS? */
function refusesPlain({ inputs }: DeclaredResource): boolean {
  return statementsOf(inputs["policy"]).some((statement) => {
    const secure = mapAt(mapAt(statement, "Condition"), "Bool")["aws:SecureTransport"];
    const everyone = statement["Principal"] === "*" || mapAt(statement, "Principal")["AWS"] === "*";
    const actions = textsAt(statement, "Action");
    return (
      statement["Effect"] === "Deny" &&
      (secure === false || secure === "false") &&
      everyone &&
      (actions.includes("s3:*") || actions.includes("*"))
    );
  });
}

/** Each bucket of a stack has what makes it safe, in resources of its own. */
export const bucketRule: StackRule = {
  name: "bucket-safe",
  description: "Each bucket has a lock against the public, a policy that refuses what comes without TLS, and versions.",
  known: ["S3.1", "S3.5", "S3.8", "S3.14", "CKV_AWS_21"],
  check: (resources) => {
    const lacks = (bucket: DeclaredResource, test: (part: DeclaredResource) => boolean): boolean =>
      !resources.some((part) => belongsTo(part, "bucket", bucket, "bucket") && test(part));
    return resources
      .filter(({ type }) => bucketTypes.includes(type))
      .flatMap((bucket) => {
        const { urn, inputs } = bucket;
        const versioned =
          isTrue(mapAt(inputs, "versioning")["enabled"]) ||
          !lacks(
            bucket,
            (part) =>
              versioningTypes.includes(part.type) &&
              mapAt(part.inputs, "versioningConfiguration")["status"] === "Enabled",
          );
        return [
          ...(lacks(bucket, ({ type }) => type === blockType) ? [`needs a ${blockType}.`] : []),
          ...(lacks(bucket, (part) => part.type === policyType && refusesPlain(part))
            ? ['needs a policy that denies s3:* to everyone where aws:SecureTransport is "false".']
            : []),
          ...(versioned ? [] : ["needs versions (status Enabled): what is overwritten or deleted can be had again."]),
        ].map((message) => ({ urn, message }));
      });
  },
};
