import { ComponentResource, type ComponentResourceOptions, type Resource } from "../provider/pulumi.ts";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { Schedule } from "@pulumi/aws/scheduler/schedule.js";
import { trustOf } from "../recipe/aws/documents.ts";
import { type LeaseEnd, scheduleAt } from "../recipe/aws/lease.ts";
import { identityPath, partitionOf } from "../recipe/aws/names.ts";
import type { Tags } from "../recipe/aws/tags.ts";
import { mayScale } from "../recipe/eks/documents.ts";
import { nodeGroupName } from "../recipe/eks/names.ts";

/** Arguments of EksLease. */
export interface EksLeaseArgs {
  readonly clusterName: string;
  readonly end: LeaseEnd;
  readonly region: string;
  /** What the names of schedule and role begin with. */
  readonly leaseName: string;
  readonly tags: Tags;
}

/**
 * Scales a cluster's nodes to none at the end of their lease, by EventBridge Scheduler, whatever runs on them or on the machine of `up`. The control
 * plane stays. It is declared before what it ends, so that no node ever runs without an end, also where `up` is killed in between. Costs nothing: one
 * call.
 */
export class EksLease extends ComponentResource {
  public readonly schedule: Resource;

  constructor(name: string, args: EksLeaseArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksLease", name, {}, options);
    const { clusterName, end, region, leaseName, tags } = args;
    const own = { parent: this };
    const role = new Role(
      leaseName,
      {
        ...{ path: identityPath, description: "tuneup: ends the nodes of a cluster, and nothing else" },
        ...{ assumeRolePolicy: trustOf("scheduler.amazonaws.com"), tags },
      },
      own,
    );
    const policy = new RolePolicy(leaseName, { role: role.name, policy: mayScale(clusterName, region) }, own);
    // The Scheduler takes the names of AWS's SDKs, which begin with capitals.
    const none = { MinSize: 0, MaxSize: 1, DesiredSize: 0 };
    this.schedule = new Schedule(
      leaseName,
      {
        description: "tuneup: the end of the nodes' lease",
        ...{ scheduleExpression: scheduleAt(end), scheduleExpressionTimezone: "UTC" },
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: `arn:${partitionOf(region)}:scheduler:::aws-sdk:eks:updateNodegroupConfig`,
          roleArn: role.arn,
          input: JSON.stringify({ ClusterName: clusterName, NodegroupName: nodeGroupName, ScalingConfig: none }),
        },
      },
      { ...own, dependsOn: [policy] },
    );
    this.registerOutputs();
  }
}
