import { volumeSizeGiB } from "../recipe/aws/choose.ts";
import { monthHours } from "../recipe/aws/prices.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import { dataGiB } from "../recipe/eks/cluster-config.ts";
import { type EksConfig, makesCluster, nodeAsMachine } from "../recipe/eks/config.ts";
import { costOfCluster } from "../recipe/eks/provision.ts";
import { clusterVersions, versionSource } from "../recipe/eks/versions.ts";
import { eksWords } from "../recipe/eks/words.ts";
import type { ModelShape } from "../recipe/estimates/model-config.ts";
import type { Training } from "../recipe/estimates/training.ts";
import type { Experiment } from "../recipe/experiment.ts";
import { gigabytes, hours } from "./figures.ts";
import { type MachinePlan, planMachine } from "./machine.ts";

const billBasis = "AWS's prices for us-east-1, each with its date (docs/aws.md)";

/** Its config, where an experiment makes a cluster of its own. */
export function ownCluster({ target, eks }: Pick<Experiment, "target" | "eks">): EksConfig | undefined {
  return target === "eks" && eks !== undefined && makesCluster(eks) ? eks : undefined;
}

/** Proposes a node as planMachine proposes a machine, and says of `tuneup:eks` what that says of `tuneup:aws`. */
export function planNode(
  experiment: Experiment,
  config: EksConfig,
  estimated: { readonly shape: ModelShape; readonly training: Training },
): MachinePlan {
  const { findings, ...plan } = planMachine({ ...experiment, aws: nodeAsMachine(config) }, estimated);
  return { ...plan, findings: [...findings.map(ofEks), ...versionFindings(config)] };
}

function ofEks(finding: CheckFinding): CheckFinding {
  const { property, next, message } = finding;
  return {
    ...finding,
    message: eksWords(message),
    ...(property === undefined ? {} : { property: eksWords(property) }),
    ...(next === undefined ? {} : { next: eksWords(next) }),
  };
}

/** A version that is past costs six times as much, and AWS moves the cluster on by itself. */
function versionFindings({ version }: EksConfig): CheckFinding[] {
  const known = clusterVersions.find(({ name }) => name === version);
  if (known !== undefined) return [];
  const names = clusterVersions.map(({ name, until }) => `${name} (until ${until})`).join(", ");
  const message = `is ${version}, which was not there when the table was made (${versionSource.date}): it knows ${names}.`;
  const next = "`aws eks describe-cluster-versions` says whether EKS has it.";
  return [{ area: "machine", level: "warning", code: "eks-version", property: "eks.version", message, next }];
}

/** What the cluster, its volume, a month and the lease cost, and whether volume and lease are enough. `disk` and `time`: what was found about them. */
export function clusterBill(
  { kubernetes }: Experiment,
  { config, plan }: { readonly config: EksConfig; readonly plan: MachinePlan },
  found: { readonly disk: readonly CheckFinding[]; readonly time: readonly CheckFinding[]; readonly atMost: boolean },
): CheckFinding[] {
  const volumeGiB = dataGiB(kubernetes);
  const volume = volumeFindings(found.disk[0]?.figure ?? 0, volumeGiB);
  if (plan.price === undefined) return volume;
  const cost = costOfCluster(config, { nodeHour: plan.price.usd, volumeGiB });
  const parts = Object.entries(cost.parts).map(([name, usd]) => `${name} ${usd.toFixed(2)}`);
  const base = { area: "price", level: "ok", unit: "USD", basis: billBasis } as const;
  const { lease } = config;
  const most = Math.min(lease.hours * cost.hour, lease.usd ?? Infinity);
  const ends = `the lease ends the node after ${lease.hours} h${lease.usd === undefined ? "" : ` or ${lease.usd} USD`}`;
  return [
    ...volume,
    {
      ...{ ...base, code: "eks-price", figure: cents(cost.month) },
      message: `left on it costs ${cost.hour.toFixed(4)} USD an hour and ${cost.month.toFixed(2)} USD a month of ${monthHours} h (${parts.join(", ")}).`,
    },
    {
      ...{ ...base, code: "eks-lease", figure: cents(most) },
      message: `${ends}, at ${most.toFixed(2)} USD at most; without a node control plane and network cost ${(cost.idle - cost.kept).toFixed(2)} USD a month until \`npx tuneup down\`, and its volume ${cost.kept.toFixed(2)} USD.`,
    },
    ...leaseFindings(config, plan.price.usd, found),
  ];
}

function volumeFindings(bytes: number, sizeGiB: number): CheckFinding[] {
  const size = { figure: bytes, limit: sizeGiB * 2 ** 30, unit: "bytes", basis: "the estimate of the disk" } as const;
  if (bytes <= sizeGiB * 2 ** 30) {
    const message = `an encrypted gp3 volume of ${sizeGiB} GiB is kept for it.`;
    return [{ area: "disk", level: "ok", code: "eks-volume", ...size, message }];
  }
  const message = `is ${sizeGiB} GiB, and the data directory grows to ${gigabytes(bytes)}.`;
  const next = `Set it to ${volumeSizeGiB(bytes)}Gi.`;
  return [
    {
      ...{ area: "disk", level: "error", code: "eks-volume-small", property: "kubernetes.volume.size" },
      ...{ ...size, message, next },
    },
  ];
}

function leaseFindings(
  { lease }: EksConfig,
  nodeHour: number,
  { time, atMost }: { readonly time: readonly CheckFinding[]; readonly atMost: boolean },
): CheckFinding[] {
  const seconds = time.find(({ area }) => area === "time")?.figure;
  if (seconds === undefined) return [];
  const level = atMost ? "warning" : "error";
  const next = "Raise it, or train less: the node ends with the training unfinished, and its last checkpoint stays.";
  const short = (property: string, message: string): CheckFinding[] => [
    { area: "price", level, code: "eks-lease-short", property, message, next },
  ];
  const usd = (seconds / 3600) * nodeHour;
  return [
    ...(seconds > lease.hours * 3600
      ? short("eks.lease.hours", `is ${lease.hours} h, and training takes ${hours(seconds)}.`)
      : []),
    ...(lease.usd !== undefined && usd > lease.usd
      ? short("eks.lease.usd", `is ${lease.usd} USD, and training costs ${usd.toFixed(2)} USD.`)
      : []),
  ];
}

function cents(usd: number): number {
  return Math.round(usd * 100) / 100;
}
