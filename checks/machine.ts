import { awsConfig, type AwsConfig } from "../recipe/aws/config.ts";
import {
  alternatives,
  type Choice,
  chooseMachine,
  type MachineNeed,
  spotTypes,
  type Unfit,
  volumeSizeGiB,
} from "../recipe/aws/choose.ts";
import { type InstanceType, tableSources } from "../recipe/aws/instance-types.ts";
import { costOf, monthHours, networkOf } from "../recipe/aws/prices.ts";
import { machineNeed } from "../recipe/aws/provision.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import { cardOf } from "../recipe/estimates/cards.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import type { Training } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { gigabytes, hours } from "./figures.ts";
import type { Hardware } from "./hardware.ts";
import type { HourlyPrice } from "./time.ts";

const typesBasis = `${tableSources.specifications.source}, ${tableSources.specifications.date} (docs/aws.md)`;
const priceBasis = `${tableSources.prices.source}, ${tableSources.prices.date}`;
const billBasis = "AWS's prices for us-east-1, each with its date (docs/aws.md)";

/** The machine that an experiment for aws gets. */
export interface MachinePlan {
  /** Undefined where nothing fits. */
  readonly type: InstanceType | undefined;
  /** What the estimates are for: the machine, or the largest card where nothing fits. */
  readonly hardware: Hardware;
  readonly price: HourlyPrice | undefined;
  readonly findings: readonly CheckFinding[];
}

/** Proposes a machine: the first of `aws.instanceTypes` that fits, else the cheapest that does. `experiment` has all that LLaMA-Factory gets. */
export function planMachine(
  { aws, compute, train }: Experiment,
  { shape, training }: { readonly shape: ModelShape; readonly training: Training },
): MachinePlan {
  const config = awsConfig(aws);
  const need = machineNeed({ compute, train }, { shape, training });
  const choice = chooseMachine(need, config);
  const { type } = choice;
  const shown = type ?? largest(choice);
  const stated = compute.pricePerHour;
  return {
    type,
    hardware: {
      ...{ device: "cuda", card: cardOf(shown.gpu), gpus: training.gpus, basis: "the table of EC2's types" },
      ...{ name: type === undefined ? shown.gpu : `${type.gpu} of ${type.name}`, memoryBytes: shown.gpuMemoryBytes },
    },
    price:
      stated !== undefined
        ? { usd: stated, basis: "compute.pricePerHour" }
        : type && { usd: config.spot ? dearest(spotTypes(choice, config)) : type.usdPerHour, basis: priceBasis },
    findings: [
      type === undefined ? noMachine(choice, need, config) : machineFits(choice, type, need, config),
      ...(stated === undefined ? regionFindings(config) : []),
    ],
  };
}

/** What AWS chooses among may cost that: estimates of money are no promise of a bargain. */
function dearest(types: readonly InstanceType[]): number {
  return Math.max(...types.map(({ usdPerHour }) => usdPerHour));
}

/** With the most memory on a card, of all that were looked at. */
function largest({ unfit }: Choice): InstanceType {
  const [first, ...others] = unfit.map(({ type }) => type);
  if (first === undefined) throw new Error("There is no instance type.");
  return others.reduce((most, type) => (type.gpuMemoryBytes > most.gpuMemoryBytes ? type : most), first);
}

function machineFits(choice: Choice, type: InstanceType, need: MachineNeed, config: AwsConfig): CheckFinding {
  const { name, gpus, gpu, vcpus, ramGiB, gpuMemoryBytes } = type;
  const why =
    config.instanceTypes === undefined ? "the cheapest that fits" : "the first of aws.instanceTypes that fits";
  const others = alternatives(choice).map((other) => `${other.name} ${priced(other.usdPerHour)}`);
  const also = others.length === 0 ? "" : ` Others that fit, in USD an hour: ${others.join(" or ")}.`;
  const unused = gpus > need.gpus ? `, of which ${need.gpus} is used` : "";
  return {
    ...{ area: "machine", level: "ok", code: "aws-machine", basis: typesBasis, unit: "bytes" },
    ...{ figure: Math.round(need.memoryBytes), limit: Math.round(gpuMemoryBytes) },
    message: `${name} with ${gpus} x ${gpu}${unused}, ${vcpus} vCPUs and ${ramGiB} GiB at ${priced(type.usdPerHour)} USD an hour is ${why}: ${gigabytes(need.memoryBytes)} of a card's ${gigabytes(gpuMemoryBytes)} are needed.${also}`,
  };
}

const reasons: Readonly<Record<Unfit, (type: InstanceType, need: MachineNeed) => string>> = {
  memory: ({ gpuMemoryBytes }) => `a card has ${gigabytes(gpuMemoryBytes)}`,
  gpus: ({ gpus }, need) => `it has ${gpus} of ${need.gpus} cards`,
  bf16: ({ gpu }) => `${gpu} has no bf16`,
  gpu: ({ gpu }) => `its card is ${gpu}`,
  "least-memory": ({ gpuMemoryBytes }) => `a card has ${(gpuMemoryBytes / 2 ** 30).toFixed(1)} GiB`,
};

function noMachine(choice: Choice, need: MachineNeed, config: AwsConfig): CheckFinding {
  const base = { area: "machine", level: "error", code: "aws-machine-none", basis: typesBasis } as const;
  const needs = `training needs ${gigabytes(need.memoryBytes)} of a card`;
  if (config.instanceTypes !== undefined) {
    const any = chooseMachine(need, { ...config, instanceTypes: undefined }).type;
    const each = choice.unfit.map(({ type, reason }) => `${type.name} (${reasons[reason](type, need)})`);
    const message = `names nothing that fits: ${each.join(", ")}; ${needs}.`;
    const next =
      any === undefined
        ? "No known instance type fits: what makes it fit is said beside the memory."
        : `Add ${any.name} (${priced(any.usdPerHour)} USD an hour), or take \`aws.instanceTypes\` out.`;
    return { ...base, property: "aws.instanceTypes", message, next };
  }
  if (need.gpu !== undefined && choice.unfit.every(({ reason }) => reason === "gpu")) {
    const names = [...new Set(choice.unfit.map(({ type }) => type.gpu))];
    const message = `must be a card that EC2 has, one of ${names.join(", ")}; got ${JSON.stringify(need.gpu)}.`;
    return { ...base, property: "compute.gpu", message, next: "Take it out: the cheapest that fits is taken then." };
  }
  const most = largest(choice);
  const cards = need.gpus > 1 ? ` on each of ${need.gpus} cards` : "";
  const message = `no known instance type fits: ${needs}${cards}; the largest that was looked at, ${most.name}, has ${most.gpus} x ${most.gpu} with ${gigabytes(most.gpuMemoryBytes)} each.`;
  const next = "Ask for less: `aws.gpuMemoryGiB`, `compute.gpu`, `compute.gpus`, or what is said beside the memory.";
  return { ...base, property: "target", message, next };
}

function regionFindings({ region }: AwsConfig): CheckFinding[] {
  const known = tableSources.prices.region;
  if (region === known) return [];
  const message = `is ${region}, and the prices known here are those of ${known}: they differ, and ${region} may lack the machine.`;
  const next = "Set `tuneup:compute.pricePerHour` to the price there.";
  return [{ area: "price", level: "warning", code: "aws-region", property: "aws.region", message, next }];
}

/** What the machine's volume, a month and the lease cost, and whether the lease is long enough. `disk` and `time`: what was found about them. */
export function billFindings(
  { aws }: Experiment,
  { type, price }: MachinePlan,
  found: { readonly disk: readonly CheckFinding[]; readonly time: readonly CheckFinding[]; readonly atMost: boolean },
): CheckFinding[] {
  const config = awsConfig(aws);
  const bytes = found.disk[0]?.figure ?? 0;
  const sizeGiB = config.volume.sizeGiB === "auto" ? volumeSizeGiB(bytes) : config.volume.sizeGiB;
  const volume = volumeFinding(config, bytes, sizeGiB);
  if (type === undefined || price === undefined) return [volume];
  const cost = costOf({
    ...{ machineHour: price.usd, volumeGiB: sizeGiB, volumeType: config.volume.type, spot: config.spot },
    ...networkOf(config),
  });
  const parts = Object.entries(cost.parts).map(([name, usd]) => `${name} ${usd.toFixed(2)}`);
  const spot = config.spot ? " Spot capacity costs at most that." : "";
  return [
    volume,
    {
      ...{ area: "price", level: "ok", code: "aws-price", figure: cents(cost.month), unit: "USD", basis: billBasis },
      message: `left on it costs ${priced(cost.hour)} USD an hour and ${cost.month.toFixed(2)} USD a month of ${monthHours} h (${parts.join(", ")}).${spot}`,
    },
    ...leaseFindings(config, { machine: price.usd, all: cost.hour, ...cost }, found),
  ];
}

function volumeFinding({ volume, spot }: AwsConfig, bytes: number, sizeGiB: number): CheckFinding {
  const figures = {
    figure: bytes,
    limit: sizeGiB * 2 ** 30,
    unit: "bytes",
    basis: "the estimate of the disk",
  } as const;
  const grows = `the data directory grows to ${gigabytes(bytes)}`;
  if (bytes <= sizeGiB * 2 ** 30) {
    const message = spot
      ? `an encrypted disk of ${sizeGiB} GiB goes with each machine; what a run leaves is kept in a bucket.`
      : `an encrypted ${volume.type} volume of ${sizeGiB} GiB is kept for it.`;
    return { area: "disk", level: "ok", code: "aws-volume", ...figures, message };
  }
  const property = "aws.volume.sizeGiB";
  const next = `Set it to ${volumeSizeGiB(bytes)} or to auto.`;
  const message = `is ${sizeGiB}, and ${grows}.`;
  return { area: "disk", level: "error", code: "aws-volume-small", property, ...figures, message, next };
}

function leaseFindings(
  { lease, spot }: AwsConfig,
  billed: { readonly machine: number; readonly all: number; readonly ended: number; readonly kept: number },
  { time, atMost }: { readonly time: readonly CheckFinding[]; readonly atMost: boolean },
): CheckFinding[] {
  const seconds = time.find(({ area }) => area === "time")?.figure;
  const most = Math.min(lease.hours * billed.all, lease.usd ?? Infinity);
  const ends = `the lease ends the machine after ${lease.hours} h${lease.usd === undefined ? "" : ` or ${lease.usd} USD`}`;
  const findings: CheckFinding[] = [
    {
      ...{ area: "price", level: "ok", code: "aws-lease", figure: cents(most), unit: "USD", basis: billBasis },
      message: `${ends}, at ${most.toFixed(2)} USD at most; ${spot ? staysOfSpot(billed) : stays(billed)}`,
    },
  ];
  if (seconds === undefined) return findings;
  const level = atMost ? "warning" : "error";
  const next = "Raise it, or train less: the machine ends with the training unfinished, and its last checkpoint stays.";
  const short = (property: string, message: string): CheckFinding => ({
    ...{ area: "price", level, code: "aws-lease-short", property, message, next },
  });
  if (seconds > lease.hours * 3600)
    findings.push(short("aws.lease.hours", `is ${lease.hours} h, and training takes ${hours(seconds)}.`));
  const training = (seconds / 3600) * billed.machine;
  if (lease.usd !== undefined && training > lease.usd)
    findings.push(short("aws.lease.usd", `is ${lease.usd} USD, and training costs ${training.toFixed(2)} USD.`));
  return findings;
}

/** What is billed after the machine's end. */
function stays({ ended, kept }: { readonly ended: number; readonly kept: number }): string {
  const volume = `its volume stays, at ${kept.toFixed(2)} USD a month.`;
  if (ended <= kept) return volume;
  return `its network stays until \`npx tuneup down\`, at ${(ended - kept).toFixed(2)} USD a month; ${volume}`;
}

function staysOfSpot({ ended }: { readonly ended: number }): string {
  const bucket = "its bucket stays, which costs by what is in it.";
  if (ended === 0) return bucket;
  return `its network stays until \`npx tuneup down\`, at ${ended.toFixed(2)} USD a month; ${bucket}`;
}

function cents(usd: number): number {
  return Math.round(usd * 100) / 100;
}

/** US dollars an hour, as many digits as AWS's own prices have. */
function priced(usd: number): string {
  return String(Math.round(usd * 1e4) / 1e4);
}
