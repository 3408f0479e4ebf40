import { parseDocument } from "yaml";
import { awsConfig } from "../../recipe/aws/config.ts";
import { instanceTypes, tableSources } from "../../recipe/aws/instance-types.ts";
import { costOf, networkOf, otherPrices } from "../../recipe/aws/prices.ts";
import { provisionOf } from "../../recipe/aws/provision.ts";
import { Fault } from "../../recipe/fault.ts";
import { readRunnableExperiment } from "../../recipe/runnable-experiment.ts";
import { copiedStack, stackConfig } from "../../recipe/stack-edit.ts";

/** A live test before anything is made. */
export interface Plan {
  /** Name of the experiment that is made for it. */
  readonly experiment: string;
  /** Its stack file. */
  readonly text: string;
  readonly region: string;
  readonly instanceType: string;
  /** All that is billed while the machine is on, US dollars an hour. */
  readonly usdPerHour: number;
  /** Hours after which the lease ends the machine. */
  readonly leaseHours: number;
  /** What passes the NAT gateway, US dollars; no part of the price by the hour. */
  readonly trafficUsd: number;
  /** The price's source for people. */
  readonly priced: string;
}

/** Shorter is no run: the machine starts, gets its environment, trains, answers, and is taken down. */
const shortestHours = 1;

/** The environment with CUDA and what goes with it, to the safe side; docs/aws.md has the price of a GB. */
const trafficGb = 10;

/** The budget of the command's words. Throws Fault `live-budget` where there is none. */
export function budgetOf(stated: string | undefined): number {
  const usd = Number(stated ?? NaN);
  if (stated?.trim() !== "" && Number.isFinite(usd) && usd > 0) return usd;
  const got = stated === undefined ? "" : `, got ${JSON.stringify(stated)}`;
  throw new Fault({
    code: "live-budget",
    property: "--budget-usd",
    message: `must say how many US dollars this test may cost${got}: it makes a machine in your AWS account.`,
    next: "For example: npm run test:aws -- --budget-usd 5",
  });
}

/**
 * The test's experiment: `template` (a stack file's text) under another name, with a lease of the budget. `folder`: of the project. Throws Fault
 * `live-budget` where the budget does not pay for the shortest run, `live-experiment` where the template is no experiment for aws that can be run.
 */
export function planOf(template: string, experiment: string, budgetUsd: number, folder: string): Plan {
  const document = parseDocument(copiedStack(template));
  document.setIn(["config", "tuneup:aws", "lease", "usd"], budgetUsd);
  const text = document.toString({ lineWidth: 0 });
  const read = readRunnableExperiment(stackConfig(text), folder);
  if (read.experiment === undefined) throw unfit(read.faults.map((facts) => new Fault(facts).sentence).join(" "));
  if (read.experiment.target !== "aws") throw unfit(`Its target is ${read.experiment.target}.`);
  const config = awsConfig(read.experiment.aws);
  const { instanceType, volumeGiB, leaseHours } = provisionOf(read.experiment);
  const stated = read.experiment.compute.pricePerHour;
  const machineHour = stated ?? instanceTypes.find(({ name }) => name === instanceType)?.usdPerHour ?? NaN;
  const network = networkOf(config);
  const { hour } = costOf({ machineHour, volumeGiB, volumeType: config.volume.type, ...network });
  const trafficUsd = network.nat === true ? trafficGb * otherPrices.natGatewayGb : 0;
  const { prices } = tableSources;
  const priced = stated === undefined ? `the table's price of ${prices.region}` : "compute.pricePerHour";
  requireEnough(budgetUsd, shortestHours * hour + trafficUsd, instanceType);
  return { experiment, text, region: config.region, instanceType, usdPerHour: hour, leaseHours, trafficUsd, priced };
}

function requireEnough(budgetUsd: number, leastUsd: number, instanceType: string): void {
  if (budgetUsd >= leastUsd) return;
  const least = (Math.ceil(leastUsd * 100) / 100).toFixed(2);
  throw new Fault({
    code: "live-budget",
    property: "--budget-usd",
    message: `must be at least ${least}, which the shortest run costs (${shortestHours} h of ${instanceType}, with network, volume and traffic), got ${budgetUsd}.`,
    next: `For example: npm run test:aws -- --budget-usd ${Math.ceil(leastUsd)}`,
  });
}

function unfit(why: string): Fault {
  return new Fault({
    code: "live-experiment",
    message: `The test runs a copy of stacks/Pulumi.aws-demo.yaml, and that can't be run: ${why}`,
    next: "Restore the file (`git checkout stacks/Pulumi.aws-demo.yaml`).",
  });
}

/** What is about to happen, for people. `elsewhere`: where AWS's calls go instead, if somewhere. */
export function planText(plan: Plan, account: string, elsewhere: string | undefined): string {
  const { experiment, region, instanceType, usdPerHour, leaseHours, trafficUsd, priced } = plan;
  const most = usdPerHour * leaseHours + trafficUsd;
  return [
    `Account ${account}, region ${region}${elsewhere === undefined ? "" : `, at ${elsewhere} (AWS_ENDPOINT_URL): this is not AWS`}.`,
    `${instanceType} with network and volume: ${usdPerHour.toFixed(3)} USD an hour by ${priced}, and about ${trafficUsd.toFixed(2)} USD for traffic.`,
    `The lease ends the machine after ${leaseHours.toFixed(1)} h: ${most.toFixed(2)} USD by then. Network and volume are billed until they are deleted, which this test does at its end.`,
    `It makes the experiment ${experiment}: up, a question, up again, status, down --purge, audit. Ctrl-C takes down what was made and ends it.`,
  ].join("\n");
}
