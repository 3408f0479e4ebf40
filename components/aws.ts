import { RunError } from "../provider/pulumi.ts";
import { Provider } from "@pulumi/aws/provider.js";
import { awsConfig, zoneOf } from "../recipe/aws/config.ts";
import { endsOf } from "../recipe/aws/ends.ts";
import { type Provision, provisionOf } from "../recipe/aws/provision.ts";
import { isServed } from "../recipe/aws/public-chat.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { lookUp } from "./aws-lookup.ts";
import { AwsSpotTarget } from "./aws-spot-target.ts";
import { AwsTarget } from "./aws-target.ts";
import type { Finished, Target } from "./target-kind.ts";

/**
 * The target of an experiment for aws: asks AWS what is there, then declares the rest. `isFinished`: is its run complete and safe on this machine?
 * Then no machine is made for it unless it is to be served, or one runs anyway. Throws RunError with what does not fit.
 */
export async function awsTarget(
  name: string,
  { host, config: experiment, isFinished }: { host: AwsHostSpec; config: Experiment; isFinished: Finished },
): Promise<Target> {
  const config = awsConfig(experiment.aws);
  const provision = provisioned(experiment);
  const provider = new Provider(name, { region: config.region });
  const { artifacts } = experiment.storage;
  const found = await lookUp({ stack: host.stack, config, zone: zoneOf(config), artifacts }, { provider });
  const serves = isServed(experiment);
  const resting = !serves && found.machineTags === undefined && (await isFinished());
  const ends = endsOf(experiment.teardown.when, config.idleMinutes);
  const args = {
    config,
    host,
    provision,
    found,
    ends,
    now: new Date(),
    resting,
    artifacts,
    port: experiment.serve.port,
  };
  const options = { providers: { aws: provider } };
  const { spot } = found;
  return spot === undefined ? new AwsTarget(name, args, options) : new AwsSpotTarget(name, { ...args, spot }, options);
}

function provisioned(experiment: Experiment): Provision {
  try {
    return provisionOf(experiment);
  } catch (thrown) {
    if (thrown instanceof Fault) throw new RunError(`tuneup:${thrown.sentence}`);
    throw thrown;
  }
}
