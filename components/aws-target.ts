import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  isDryRun,
  output,
  type Output,
  RunError,
} from "../provider/pulumi.ts";
import { Provider } from "@pulumi/aws/provider.js";
import { type AwsConfig, awsConfig, zoneOf } from "../recipe/aws/config.ts";
import { type Ends, endsOf } from "../recipe/aws/ends.ts";
import { leaseEnd, leaseTags } from "../recipe/aws/lease.ts";
import { balancerName, resourceName } from "../recipe/aws/names.ts";
import { type Provision, provisionOf } from "../recipe/aws/provision.ts";
import { behindBalancer, isServed } from "../recipe/aws/public-chat.ts";
import { tagsFor } from "../recipe/aws/tags.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec, HostSpec } from "../recipe/host.ts";
import { AwsGivenNetwork } from "./aws-given-network.ts";
import { AwsIdentity } from "./aws-identity.ts";
import { AwsLease } from "./aws-lease.ts";
import { type Found, lookUp } from "./aws-lookup.ts";
import { AwsMachine } from "./aws-machine.ts";
import { AwsNetwork, type Network } from "./aws-network.ts";
import { AwsPublicChat } from "./aws-public-chat.ts";
import { AwsVolume } from "./aws-volume.ts";
import type { Finished, Target } from "./target-kind.ts";

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
    const network = this.#network(name, args, { zone, groupName: resource });
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
    const lease = new AwsLease(name, { instanceId, end, region, stack, leaseName: `${resource}-lease`, tags }, own);
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

  #network(
    name: string,
    { config, found, host }: AwsTargetArgs,
    { zone, groupName }: { readonly zone: string; readonly groupName: string },
  ): Network {
    const tags = tagsFor(host.stack, { owner: config.owner });
    if (found.network !== undefined) {
      return new AwsGivenNetwork(name, { found: found.network, groupName, tags }, { parent: this });
    }
    const { region, egress } = config;
    const { secondZone } = found;
    return new AwsNetwork(name, { region, zone, egress, secondZone, groupName, tags }, { parent: this });
  }
}

/**
 * The target of an experiment for aws: asks AWS what is there, then declares the rest. `isFinished`: is its run complete and safe on this machine?
 * Then no machine is made for it unless it is to be served, or one runs anyway. Throws RunError with what does not fit.
 */
export async function awsTarget(
  name: string,
  { host, config: experiment, isFinished }: { host: AwsHostSpec; config: Experiment; isFinished: Finished },
): Promise<AwsTarget> {
  const config = awsConfig(experiment.aws);
  const provision = provisioned(experiment);
  const provider = new Provider(name, { region: config.region });
  const found = await lookUp({ stack: host.stack, config, zone: zoneOf(config) }, { provider });
  const serves = isServed(experiment);
  const resting = !serves && found.machineTags === undefined && (await isFinished());
  const ends = endsOf(experiment.teardown.when, config.idleMinutes);
  return new AwsTarget(
    name,
    {
      ...{ config, host, provision, found, ends, now: new Date(), resting },
      ...{ port: experiment.serve.port, artifacts: experiment.storage.artifacts },
    },
    { providers: { aws: provider } },
  );
}

function provisioned(experiment: Experiment): Provision {
  try {
    return provisionOf(experiment);
  } catch (thrown) {
    if (thrown instanceof Fault) throw new RunError(`tuneup:${thrown.sentence}`);
    throw thrown;
  }
}
