import type { V1Node, V1PersistentVolumeClaim, V1Taint } from "@kubernetes/client-node";
import { Fault, type FaultFacts } from "../recipe/fault.ts";
import type { KubernetesHostSpec, Toleration } from "../recipe/host.ts";
import { amountOf } from "../recipe/kubernetes/config.ts";
import { scaledObjects } from "../recipe/kubernetes/keda.ts";
import type { CommandInput, CommandOutput } from "../recipe/protocol.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { unlessForbidden } from "./kubernetes-faults.ts";
import { trainers } from "./kubernetes-training.ts";

type Facts = CommandOutput<"preflight">;

/** A GPU of which nothing is known: of no memory, and no driver. */
const unknownGpu = { name: "GPU", memoryBytes: 0, driver: "" };

/** Kubeflow Trainer v2 with JobSet, as its documentation installs it. */
const trainerManifests = "https://github.com/kubeflow/trainer.git/manifests/overlays/manager?ref=v2.0.0";

const standardClass = "storageclass.kubernetes.io/is-default-class";

/**
 * Facts of a place on a cluster, by its API alone and without making anything there: of the node that has most GPUs, then most memory,
 * among those that the Pods may be on. What can't be known before a Pod runs is not claimed: `environment` is null, 0 bytes of memory are
 * an unknown amount. `claim`: the claim if it is there.
 */
export async function surveyCluster(
  cluster: Cluster,
  spec: KubernetesHostSpec,
  claim: V1PersistentVolumeClaim | undefined,
  { port }: CommandInput<"preflight">,
): Promise<Facts> {
  if (spec.machines !== undefined) await requireKind(cluster, trainers, trainerMissing);
  if (spec.keda === true) await requireKind(cluster, scaledObjects, kedaMissing);
  const [nodes, unwritable] = await Promise.all([fittingNodes(cluster, spec), claimTrouble(cluster, spec, claim)]);
  const node = nodes?.toSorted((a, b) => gpuCount(b, spec) - gpuCount(a, spec) || memoryOf(b) - memoryOf(a))[0];
  return {
    platform: "linux",
    arch: node?.status?.nodeInfo?.architecture === "arm64" ? "arm64" : "x64",
    cores: Math.max(1, Math.floor(amountOf(node?.status?.allocatable?.["cpu"] ?? "1"))),
    memoryBytes: node === undefined ? 0 : memoryOf(node),
    memoryFreeBytes: node === undefined ? 0 : memoryOf(node),
    diskFreeBytes: amountOf(claim?.status?.capacity?.["storage"] ?? "") || spec.claimBytes,
    ...(unwritable === undefined ? {} : { unwritable }),
    // The image's; a Pod tells which.
    python: { path: "python3", version: "as the image has it" },
    // An autoscaler may bring a node that is not there yet, and `up` the plugin by which a node of its own tells its GPU.
    gpus: node === undefined || (isMade(spec) && gpuCount(node, spec) === 0) ? [unknownGpu] : gpusOf(node, spec),
    // A Pod's ports are its own.
    ...(port === undefined ? {} : { port: "free" as const }),
    environment: null,
  };
}

/** Is it a cluster that `up` makes, with all that belongs to it? One that was cut off has not brought it yet. */
function isMade({ eks }: KubernetesHostSpec): boolean {
  return eks?.nodes !== undefined;
}

const trainerMissing = {
  code: "trainer-missing",
  property: "compute.nodes",
  message: "several machines train together by Kubeflow Trainer, which the cluster does not have (no kind TrainJob).",
  next: `Install it: kubectl apply --server-side -k "${trainerManifests}"`,
};

const kedaMissing = {
  code: "keda-missing",
  property: "kubernetes.endpoint.autoscaler",
  message: "`keda` follows what waits by KEDA, which the cluster does not have (no kind ScaledObject).",
  next: "Install it: helm install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace; or set `hpa`.",
};

interface Kind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

/** Throws the Fault where the cluster does not know the kind. */
async function requireKind(cluster: Cluster, kind: Kind, missing: FaultFacts): Promise<void> {
  const request = { ...kind, namespace: cluster.where.namespace, limit: 1 };
  const there = await cluster.find(cluster.custom.listNamespacedCustomObject(request) as Promise<unknown>);
  if (there === undefined) throw new Fault(missing);
}

/** Nodes that the Pods may be on; undefined where who asks may not see nodes. */
async function fittingNodes(cluster: Cluster, spec: KubernetesHostSpec): Promise<V1Node[] | undefined> {
  const { nodeSelector = {}, tolerations = [] } = spec;
  const nodes = await unlessForbidden(cluster.ask(cluster.core.listNode()));
  return nodes?.items.filter(
    ({ metadata, spec: given, status }) =>
      given?.unschedulable !== true &&
      status?.conditions?.find(({ type }) => type === "Ready")?.status === "True" &&
      Object.entries(nodeSelector).every(([label, value]) => metadata?.labels?.[label] === value) &&
      (given?.taints ?? []).every((taint) => taint.effect === "PreferNoSchedule" || isTolerated(taint, tolerations)),
  );
}

function isTolerated({ key, value, effect }: V1Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(
    (one) =>
      (one.effect === undefined || one.effect === effect) &&
      (one.key === undefined || one.key === key) &&
      (one.operator === "Exists" || (one.value ?? "") === (value ?? "")),
  );
}

function memoryOf({ status }: V1Node): number {
  return amountOf(status?.allocatable?.["memory"] ?? "") || 0;
}

/** How many of the device plugin's GPUs a node offers. */
export function gpuCount({ status }: V1Node, { gpuResource }: Pick<KubernetesHostSpec, "gpuResource">): number {
  return Number(status?.allocatable?.[gpuResource] ?? 0) || 0;
}

/** As NVIDIA's feature discovery labels the node, where it runs. */
function gpusOf(node: V1Node, spec: KubernetesHostSpec): Facts["gpus"] {
  const labels = node.metadata?.labels ?? {};
  const gpu = {
    name: labels["nvidia.com/gpu.product"]?.replaceAll("-", " ") ?? unknownGpu.name,
    memoryBytes: (Number(labels["nvidia.com/gpu.memory"] ?? 0) || 0) * 2 ** 20,
    driver: labels["nvidia.com/cuda.driver-version.full"] ?? unknownGpu.driver,
  };
  return Array.from({ length: gpuCount(node, spec) }, () => gpu);
}

/** Why the volume will not be there, in words; undefined as far as is known. */
async function claimTrouble(
  cluster: Cluster,
  spec: KubernetesHostSpec,
  claim: V1PersistentVolumeClaim | undefined,
): Promise<string | undefined> {
  const { claim: name, storageClassName } = spec;
  if (claim === undefined && isMade(spec)) return undefined;
  if (claim?.status?.phase === "Bound") return undefined;
  if (claim?.status?.phase === "Lost") return `claim ${name} has lost its volume`;
  const wanted = claim?.spec?.storageClassName ?? storageClassName;
  const classes = (await unlessForbidden(cluster.ask(cluster.storage.listStorageClass())))?.items;
  if (classes === undefined) return undefined;
  const names = classes.map(({ metadata }) => metadata?.name ?? "").join(", ") || "none";
  if (wanted === undefined) {
    const isDefault = classes.some(({ metadata }) => metadata?.annotations?.[standardClass] === "true");
    return isDefault ? undefined : `the cluster has no default StorageClass; it has ${names}`;
  }
  // An empty one is for volumes that an administrator made.
  if (wanted === "" || classes.some(({ metadata }) => metadata?.name === wanted)) return undefined;
  return `the cluster has no StorageClass ${wanted}; it has ${names}`;
}
