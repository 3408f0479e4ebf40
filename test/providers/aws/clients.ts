import { AutoScaling } from "@aws-sdk/client-auto-scaling";
import { EC2 } from "@aws-sdk/client-ec2";
import { IAM } from "@aws-sdk/client-iam";
import { ResourceGroupsTaggingAPI } from "@aws-sdk/client-resource-groups-tagging-api";
import { S3 } from "@aws-sdk/client-s3";
import { Scheduler } from "@aws-sdk/client-scheduler";
import { SSM } from "@aws-sdk/client-ssm";
import { STS } from "@aws-sdk/client-sts";

/** The services that the kinds call. AWS_ENDPOINT_URL and the credentials are the SDK's own matter. */
export interface Clients {
  readonly region: string;
  readonly ec2: EC2;
  readonly iam: IAM;
  readonly s3: S3;
  readonly scaling: AutoScaling;
  readonly scheduler: Scheduler;
  readonly ssm: SSM;
  readonly sts: STS;
  readonly tagging: ResourceGroupsTaggingAPI;
}

/** Clients of a region. They connect at the first call. */
export function clientsOf(region: string): Clients {
  const config = { region, maxAttempts: 2 };
  return {
    region,
    ec2: new EC2(config),
    iam: new IAM(config),
    // What stands in for AWS has one address for all buckets.
    s3: new S3({ ...config, forcePathStyle: true }),
    scaling: new AutoScaling(config),
    scheduler: new Scheduler(config),
    ssm: new SSM(config),
    sts: new STS(config),
    tagging: new ResourceGroupsTaggingAPI(config),
  };
}

/** Is it an error that AWS answered with one of these codes? A code that ends in `.` is the beginning of one. */
export function isAnswer(thrown: unknown, ...codes: readonly string[]): boolean {
  if (!(thrown instanceof Error)) return false;
  return codes.some((code) => (code.endsWith(".") ? thrown.name.startsWith(code) : thrown.name === code));
}

const gone =
  /NotFound(Exception|Error)?$|\.NotFound|NoSuchEntity|^NatGatewayNotFound|^NoSuch(Bucket|BucketPolicy|TagSet|PublicAccessBlock|LifecycleConf)/;

/** What a call gives; undefined where AWS answers that the thing is not there. */
export async function found<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof Error && gone.test(thrown.name)) return undefined;
    throw thrown;
  }
}
