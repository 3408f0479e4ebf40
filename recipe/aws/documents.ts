import { publishedRuns } from "../s3-access.ts";
import { bucketArn } from "./bucket.ts";
import { partitionOf } from "./names.ts";
import { projectTag, tagNames } from "./tags.ts";

const version = "2012-10-17";

/** Who may take a role: one of AWS's services. As IAM takes it, in JSON. */
export function trustOf(service: "ec2.amazonaws.com" | "scheduler.amazonaws.com"): string {
  const statement = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: service } };
  return JSON.stringify({ Version: version, Statement: [statement] });
}

/** May end machines that have the stack's tags, in its region, and nothing else. */
export function mayTerminate(stack: string, region: string): string {
  const tags = {
    [`aws:ResourceTag/${tagNames.project}`]: projectTag,
    [`aws:ResourceTag/${tagNames.stack}`]: stack,
  };
  const statement = {
    Effect: "Allow",
    Action: "ec2:TerminateInstances",
    Resource: `arn:${partitionOf(region)}:ec2:${region}:*:instance/*`,
    Condition: { StringEquals: tags },
  };
  return JSON.stringify({ Version: version, Statement: [statement] });
}

/** May say how many machines a group is to have, of those that it may have at all: its largest size is not for this right to change. */
export function maySize(group: string, region: string): string {
  const statement = {
    Effect: "Allow",
    Action: "autoscaling:SetDesiredCapacity",
    Resource: `arn:${partitionOf(region)}:autoscaling:${region}:*:autoScalingGroup:*:autoScalingGroupName/${group}`,
  };
  return JSON.stringify({ Version: version, Statement: [statement] });
}

/** May publish the runs of one experiment below `artifacts` (s3://bucket/prefix), and nothing else in that bucket. */
export function mayPublish(artifacts: string, experiment: string, region: string): string {
  const [bucket = "", ...folders] = publishedRuns(artifacts, experiment)
    .replace(/^s3:\/\//, "")
    .split("/");
  const below = `${folders.join("/")}*`;
  const arn = bucketArn(bucket, region);
  const statements = [
    {
      Effect: "Allow",
      Action: ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
      Resource: `${arn}/${below}`,
    },
    { Effect: "Allow", Action: "s3:ListBucket", Resource: arn, Condition: { StringLike: { "s3:prefix": below } } },
  ];
  return JSON.stringify({ Version: version, Statement: statements });
}

/** What a bucket of ours refuses: everything that comes without TLS, whoever it is from. */
export function onlyByTls(bucket: string, region: string): string {
  const arn = bucketArn(bucket, region);
  const statement = {
    ...{ Effect: "Deny", Principal: "*", Action: "s3:*", Resource: [arn, `${arn}/*`] },
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  };
  return JSON.stringify({ Version: version, Statement: [statement] });
}
