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
