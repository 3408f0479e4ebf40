import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  output,
  type Output,
  isDryRun,
} from "../provider/pulumi.ts";
import { getInstances } from "@pulumi/aws/ec2/getInstances.js";
import { leaseBegin, leaseEnd, leaseTags } from "../recipe/aws/lease.ts";
import { resourceName } from "../recipe/aws/names.ts";
import { type GroupNow, onDemandBase, spotPatience } from "../recipe/aws/spot.ts";
import { ownTags, tagNames, tagsFor } from "../recipe/aws/tags.ts";
import type { HostSpec } from "../recipe/host.ts";
import { resumeAddress } from "../recipe/resume-plan.ts";
import { AwsBucket } from "./aws-bucket.ts";
import { AwsGroup } from "./aws-group.ts";
import { AwsIdentity } from "./aws-identity.ts";
import { AwsLease } from "./aws-lease.ts";
import type { FoundGroup, FoundSpot } from "./aws-spot-lookup.ts";
import { type AwsTargetArgs, networkFor } from "./aws-target.ts";
import type { Target } from "./target-kind.ts";

/** Arguments of AwsSpotTarget. */
export interface AwsSpotTargetArgs extends AwsTargetArgs {
  readonly spot: FoundSpot;
}

/**
 * EC2 machines with a GPU of spot capacity, one at a time: AWS replaces the one that it takes back, in any zone. What a run leaves is in a bucket, since no
 * machine stays; `destroy` leaves the bucket alone, and the next `up` adopts it. Otherwise as AwsTarget. Costs the machine, the network and the bucket.
 */
export class AwsSpotTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;
  /** Id of the machine: another one whenever AWS replaced it, undefined where none is wanted. */
  public readonly machine?: Output<string>;
  public readonly artifacts: string;

  constructor(name: string, args: AwsSpotTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsSpotTarget", name, {}, options);
    const { host } = args;
    const bucket = this.#bucket(name, args);
    this.artifacts = args.artifacts ?? bucket?.address ?? "";
    if (args.resting === true) {
      this.host = output({ ...host, resting: true });
      this.registerOutputs({ host: this.host });
      return;
    }
    const { group, lease } = this.#group(name, args, bucket);
    this.machine = group.groupId.apply(async () => {
      const { ids } = await getInstances(
        { instanceTags: ownTags(host.stack), instanceStateNames: ["pending", "running"] },
        { parent: this },
      );
      // Two while one takes the other's place.
      return ids.toSorted().join(" ") || "none";
    });
    const ready = [this.machine, lease.scheduleId, ...(bucket?.ready.map(({ urn }) => urn) ?? [])];
    // As AwsTarget: known at once in a preview.
    this.host = isDryRun() ? output(host) : all(ready).apply(() => host);
    this.registerOutputs({ host: this.host, machine: this.machine });
  }

  #bucket(name: string, { config, host, spot }: AwsSpotTargetArgs): AwsBucket | undefined {
    if (spot.bucket === undefined) return undefined;
    const tags = tagsFor(host.stack, { owner: config.owner });
    const { name: bucketName, tags: found } = spot.bucket;
    return new AwsBucket(name, { bucketName, region: config.region, tags, found }, { parent: this });
  }

  #group(name: string, args: AwsSpotTargetArgs, bucket: AwsBucket | undefined) {
    const { config, host, provision, found, now, ends, spot } = args;
    const { region, stack } = host;
    const own = { parent: this };
    const resource = resourceName(stack);
    const tags = tagsFor(stack, { owner: config.owner });
    const end = leaseEnd(provision.leaseHours, now, found.machineTags);
    // A lease that is moved is the same one: the next machine finds the plan where the one before left it.
    const first = found.machineTags?.[tagNames.resume] ?? end.expiry;
    const network = networkFor(name, args, own);
    const publishes = { artifacts: this.artifacts, experiment: name };
    const identity = new AwsIdentity(name, { roleName: resource, region, publishes, group: resource, tags }, own);
    // First what ends it: a group that waits in vain for capacity has a machine when nobody looks any more.
    const lease = new AwsLease(
      name,
      { of: { group: resource }, end, region, stack, leaseName: `${resource}-lease`, tags },
      own,
    );
    const group = new AwsGroup(
      name,
      {
        ...{ groupName: resource, region },
        ...{ instanceTypes: provision.instanceTypes ?? [provision.instanceType] },
        ...{ isOrdered: config.instanceTypes !== undefined, ami: found.ami, image: spot.image },
        ...{ onDemandBase: onDemandBase(config.onDemandFallback, nowOf(spot.group), now) },
        patienceMinutes: spotPatience(config.onDemandFallback),
        ...{ dataGiB: provision.volumeGiB, subnetIds: network.subnetIds, securityGroupId: network.groupId },
        ...{ profileName: identity.profileName, mountPoint: host.dataDirectory, expiry: end.expiry, ends },
        resume: resumeAddress(this.artifacts, name, first),
        tags: { ...tags, ...leaseTags(end), [tagNames.resume]: first },
        after: [lease, identity, ...network.ready, ...(bucket?.ready ?? [])],
      },
      own,
    );
    return { group, lease };
  }
}

function nowOf(group: FoundGroup | undefined): GroupNow | undefined {
  return group === undefined ? undefined : { ...group, begunAt: leaseBegin(group.tags) };
}
