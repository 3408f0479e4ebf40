import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  output,
  type Output,
  RunError,
  runtime,
} from "@pulumi/pulumi";
import { Provider } from "@pulumi/aws/provider.js";
import { type AwsConfig, awsConfig, zoneOf } from "../recipe/aws/config.ts";
import { leaseEnd, leaseTags } from "../recipe/aws/lease.ts";
import { resourceName } from "../recipe/aws/names.ts";
import { type Provision, provisionOf } from "../recipe/aws/provision.ts";
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
import { AwsVolume } from "./aws-volume.ts";
import type { Target } from "./target-kind.ts";

/** Arguments of AwsTarget. */
export interface AwsTargetArgs {
  /** `tuneup:aws` of the experiment. */
  readonly config: AwsConfig;
  /** How the machine is found and reached, of the same config (`hostSpecOf`). */
  readonly host: AwsHostSpec;
  /** Instance type and size of the volume, of the same experiment (`provisionOf`). */
  readonly provision: Provision;
  /** What is in AWS already (`lookUp`): the image, the volume to take up, the lease that runs. */
  readonly found: Found;
  /** The time of this `up`. */
  readonly now: Date;
}

/**
 * An EC2 machine with a GPU, on demand, without a public address and without a rule that lets anything in; once it is there it is an SSH host,
 * through Systems Manager. Costs the machine, the network and the volume (each says its own); `destroy` leaves the volume alone, which is
 * adopted by the next `up`.
 */
export class AwsTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;
  /** Id of the machine: another one after a replacement. */
  public readonly machine: Output<string>;

  constructor(name: string, args: AwsTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsTarget", name, {}, options);
    const { config, host, provision, found, now } = args;
    const { region, stack } = host;
    const own = { parent: this };
    const zone = zoneOf(config);
    const resource = resourceName(stack);
    const tags = tagsFor(stack, { owner: config.owner });
    const end = leaseEnd(config.lease.hours, now, found.machineTags);
    const volume = new AwsVolume(
      name,
      {
        ...{ zone, sizeGiB: provision.volumeGiB, type: config.volume.type, found: found.volume },
        ...{ volumeName: `${resource}-data`, tags },
      },
      own,
    );
    const network = this.#network(name, args, { zone, groupName: resource });
    const identity = new AwsIdentity(name, { roleName: resource, region, tags }, own);
    const machine = new AwsMachine(
      name,
      {
        ...{ instanceType: provision.instanceType, zone, ami: found.ami, network },
        ...{ profileName: identity.profileName, volumeId: volume.volumeId, mountPoint: host.dataDirectory },
        ...{ leaseHours: end.hours, machineName: resource, tags: { ...tags, ...leaseTags(end) } },
        after: [identity.ready, ...network.ready],
      },
      own,
    );
    const { instanceId } = machine;
    const lease = new AwsLease(name, { instanceId, end, region, stack, leaseName: `${resource}-lease`, tags }, own);
    this.machine = instanceId;
    // Known at once in a preview, whose checks need it; afterwards a host as soon as the machine and its end are there.
    const needed = [instanceId, machine.attachment.urn, lease.scheduleId];
    this.host = runtime.isDryRun() ? output(host) : all(needed).apply(() => host);
    this.registerOutputs({ host: this.host, machine: this.machine });
  }

  #network(
    name: string,
    { config, found }: AwsTargetArgs,
    { zone, groupName }: { readonly zone: string; readonly groupName: string },
  ): Network {
    const tags = tagsFor(name, { owner: config.owner });
    if (found.network !== undefined) {
      return new AwsGivenNetwork(name, { found: found.network, groupName, tags }, { parent: this });
    }
    const { region, egress } = config;
    return new AwsNetwork(name, { region, zone, egress, groupName, tags }, { parent: this });
  }
}

/** The target of an experiment for aws: asks AWS what is there, then declares the rest. Throws RunError with what does not fit. */
export async function awsTarget(name: string, host: AwsHostSpec, experiment: Experiment): Promise<AwsTarget> {
  const config = awsConfig(experiment.aws);
  const provision = provisioned(experiment);
  const provider = new Provider(name, { region: config.region });
  const found = await lookUp({ stack: host.stack, config, zone: zoneOf(config) }, { provider });
  const args = { config, host, provision, found, now: new Date() };
  return new AwsTarget(name, args, { providers: { aws: provider } });
}

function provisioned(experiment: Experiment): Provision {
  try {
    return provisionOf(experiment);
  } catch (thrown) {
    if (thrown instanceof Fault) throw new RunError(`tuneup:${thrown.sentence}`);
    throw thrown;
  }
}
