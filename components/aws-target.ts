import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  isDryRun,
  output,
  type Output,
} from "../provider/pulumi.ts";
import { type AwsConfig, zoneOf } from "../recipe/aws/config.ts";
import type { Ends } from "../recipe/aws/ends.ts";
import { leaseEnd, leaseTags } from "../recipe/aws/lease.ts";
import { balancerName, resourceName } from "../recipe/aws/names.ts";
import type { Provision } from "../recipe/aws/provision.ts";
import { behindBalancer } from "../recipe/aws/public-chat.ts";
import { tagsFor } from "../recipe/aws/tags.ts";
import type { AwsHostSpec, HostSpec } from "../recipe/host.ts";
import { AwsGivenNetwork } from "./aws-given-network.ts";
import { AwsIdentity } from "./aws-identity.ts";
import { AwsLease } from "./aws-lease.ts";
import type { Found } from "./aws-lookup.ts";
import { AwsMachine } from "./aws-machine.ts";
import { AwsNetwork, type Network } from "./aws-network.ts";
import { AwsPublicChat } from "./aws-public-chat.ts";
import { AwsVolume } from "./aws-volume.ts";
import type { Target } from "./target-kind.ts";

/** Arguments of AwsTarget. */
export interface AwsTargetArgs {
  /** `tuneup:aws` of the experiment. */
  readonly config: AwsConfig;
  /** How the machine is found and reached, of the same config (`hostSpecOf`). */
  readonly host: AwsHostSpec;
  /** Instance type, size of the volume and hours of the lease, of the same experiment (`provisionOf`). */
  readonly provision: Provision;
  /** What is in AWS already (`lookUp`): the image, the volume to take up, the lease that runs. */
  readonly found: Found;
  /** When the machine ends before its lease does (`endsOf`). Default: never. */
  readonly ends?: Ends | undefined;
  /** The time of this `up`. */
  readonly now: Date;
  /** Is no machine wanted? Then the volume alone is kept, and nothing else is billed. Default: false. */
  readonly resting?: boolean;
  /** `tuneup:storage.artifacts`. Default: nothing is published. */
  readonly artifacts?: string | undefined;
  /** `serve.port` of the experiment, for `publicChat`. Default: 0. */
  readonly port?: number;
}

/**
 * An EC2 machine with a GPU, on demand, without a public address and without a rule that lets anything in; once it is there it is an SSH host,
 * through Systems Manager. Costs the machine, the network and the volume (each says its own); `destroy` leaves the volume alone, which is
 * adopted by the next `up`.
 */
export class AwsTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;
  /** Id of the machine: another one after a replacement, undefined where none is wanted. */
  public readonly machine?: Output<string>;
  /** Behind a load balancer alone. */
  public readonly listens?: Target["listens"];
  public readonly publicUrl?: Output<string> | undefined;

  constructor(name: string, args: AwsTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsTarget", name, {}, options);
    const { config, host, provision, found } = args;
    const zone = zoneOf(config);
    const { volumeId } = new AwsVolume(
      name,
      {
        ...{ zone, sizeGiB: provision.volumeGiB, type: config.volume.type, found: found.volume },
        ...{ volumeName: `${resourceName(host.stack)}-data`, tags: tagsFor(host.stack, { owner: config.owner }) },
      },
      { parent: this },
    );
    if (args.resting === true) {
      this.host = output({ ...host, resting: true });
      this.registerOutputs({ host: this.host });
      return;
    }
    const { instanceId, network, ready } = this.#machine(name, args, volumeId);
    this.machine = instanceId;
    if (config.publicChat !== undefined) {
      this.listens = behindBalancer(args.port ?? 0);
      this.publicUrl = this.#publicChat(name, args, { ...this.listens, network, instanceId });
    }
    // Known at once in a preview, whose checks need it; afterwards a host as soon as the machine and its end are there.
    this.host = isDryRun() ? output(host) : all(ready).apply(() => host);
    this.registerOutputs({ host: this.host, machine: this.machine });
  }

  #machine(name: string, args: AwsTargetArgs, volumeId: Output<string>) {
    const { config, host, provision, found, now, ends } = args;
    const { region, stack } = host;
    const own = { parent: this };
    const zone = zoneOf(config);
    const resource = resourceName(stack);
    const tags = tagsFor(stack, { owner: config.owner });
    const end = leaseEnd(provision.leaseHours, now, found.machineTags);
    const network = networkFor(name, args, own);
    const publishes = args.artifacts === undefined ? undefined : { artifacts: args.artifacts, experiment: name };
    const identity = new AwsIdentity(name, { roleName: resource, region, publishes, tags }, own);
    const { instanceId, attachment } = new AwsMachine(
      name,
      {
        ...{ instanceType: provision.instanceType, zone, ami: found.ami, network },
        ...{ profileName: identity.profileName, volumeId, mountPoint: host.dataDirectory },
        ...{ leaseHours: end.hours, ends, machineName: resource, tags: { ...tags, ...leaseTags(end) } },
        after: [identity.ready, ...network.ready],
      },
      own,
    );
    const lease = new AwsLease(
      name,
      { of: { instanceId }, end, region, stack, leaseName: `${resource}-lease`, tags },
      own,
    );
    return { instanceId, network, ready: [instanceId, attachment.urn, lease.scheduleId] };
  }

  #publicChat(
    name: string,
    { config, host: { stack } }: AwsTargetArgs,
    { port, network, instanceId }: { port: number; network: Network; instanceId: Output<string> },
  ): Output<string> | undefined {
    if (config.publicChat === undefined || network.open === undefined) return undefined;
    return new AwsPublicChat(
      name,
      {
        ...{ config: config.publicChat, port, instanceId, network: network.open, machineGroupId: network.groupId },
        ...{ groupName: resourceName(stack), balancerName: balancerName(stack) },
        tags: tagsFor(stack, { owner: config.owner }),
      },
      { parent: this },
    ).url;
  }
}

/** The network of a stack: its own, or the machine's group alone in one that is there. */
export function networkFor(
  name: string,
  { config, found, host }: AwsTargetArgs,
  options: ComponentResourceOptions,
): Network {
  const tags = tagsFor(host.stack, { owner: config.owner });
  const groupName = resourceName(host.stack);
  if (found.network !== undefined) {
    return new AwsGivenNetwork(name, { found: found.network, groupName, tags }, options);
  }
  const { region, egress } = config;
  const { secondZone, spot } = found;
  const places = { zone: zoneOf(config), zones: spot?.zones, secondZone };
  return new AwsNetwork(name, { region, egress, ...places, groupName, tags }, options);
}
