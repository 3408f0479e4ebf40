import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  jsonStringify,
  type Output,
} from "../provider/pulumi.ts";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { Schedule } from "@pulumi/aws/scheduler/schedule.js";
import { maySize, mayTerminate, trustOf } from "../recipe/aws/documents.ts";
import { type LeaseEnd, scheduleAt } from "../recipe/aws/lease.ts";
import { identityPath, partitionOf } from "../recipe/aws/names.ts";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsLease. */
export interface AwsLeaseArgs {
  /** What is ended: a machine, or the size of a group, whose machine AWS ends then. */
  readonly of: { readonly instanceId: Input<string> } | { readonly group: string };
  readonly end: LeaseEnd;
  readonly region: string;
  readonly stack: string;
  /** What the names of schedule and role begin with. */
  readonly leaseName: string;
  readonly tags: Tags;
}

/**
 * Terminates the machine at the end of its lease from outside, by EventBridge Scheduler, where it can't do so itself: hung, cut off, its clock wrong.
 * Costs nothing: one call.
 */
export class AwsLease extends ComponentResource {
  public readonly scheduleId: Output<string>;

  constructor(name: string, args: AwsLeaseArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsLease", name, {}, options);
    const { of, end, region, stack, leaseName, tags } = args;
    const own = { parent: this };
    const role = new Role(
      leaseName,
      {
        ...{ path: identityPath, description: "tuneup: ends the machine of a stack, and nothing else" },
        ...{ assumeRolePolicy: trustOf("scheduler.amazonaws.com"), tags },
      },
      own,
    );
    const call =
      "group" in of
        ? {
            ...{ name: "autoscaling:setDesiredCapacity", policy: maySize(of.group, region) },
            input: { AutoScalingGroupName: of.group, DesiredCapacity: 0 },
          }
        : {
            ...{ name: "ec2:terminateInstances", policy: mayTerminate(stack, region) },
            input: { InstanceIds: [of.instanceId] },
          };
    const policy = new RolePolicy(leaseName, { role: role.name, policy: call.policy }, own);
    const schedule = new Schedule(
      leaseName,
      {
        description: "tuneup: the end of the machine's lease",
        ...{ scheduleExpression: scheduleAt(end), scheduleExpressionTimezone: "UTC" },
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: `arn:${partitionOf(region)}:scheduler:::aws-sdk:${call.name}`,
          roleArn: role.arn,
          input: jsonStringify(call.input),
        },
      },
      { ...own, dependsOn: [policy] },
    );
    this.scheduleId = schedule.id;
    this.registerOutputs({ scheduleId: this.scheduleId });
  }
}
