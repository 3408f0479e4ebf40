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
import { mayTerminate, trustOf } from "../recipe/aws/documents.ts";
import { type LeaseEnd, scheduleAt } from "../recipe/aws/lease.ts";
import { identityPath, partitionOf } from "../recipe/aws/names.ts";
import type { Tags } from "../recipe/aws/tags.ts";

/** Arguments of AwsLease. */
export interface AwsLeaseArgs {
  readonly instanceId: Input<string>;
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
    const { instanceId, end, region, stack, leaseName, tags } = args;
    const own = { parent: this };
    const role = new Role(
      leaseName,
      {
        ...{ path: identityPath, description: "tuneup: ends the machine of a stack, and nothing else" },
        ...{ assumeRolePolicy: trustOf("scheduler.amazonaws.com"), tags },
      },
      own,
    );
    const policy = new RolePolicy(leaseName, { role: role.name, policy: mayTerminate(stack, region) }, own);
    const schedule = new Schedule(
      leaseName,
      {
        description: "tuneup: the end of the machine's lease",
        ...{ scheduleExpression: scheduleAt(end), scheduleExpressionTimezone: "UTC" },
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: `arn:${partitionOf(region)}:scheduler:::aws-sdk:ec2:terminateInstances`,
          roleArn: role.arn,
          input: jsonStringify({ InstanceIds: [instanceId] }),
        },
      },
      { ...own, dependsOn: [policy] },
    );
    this.scheduleId = schedule.id;
    this.registerOutputs({ scheduleId: this.scheduleId });
  }
}
