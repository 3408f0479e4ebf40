import type { InstanceType } from "../aws/instance-types.ts";
import type { Toleration } from "../host.ts";
import { amountOf, kubernetes, type KubernetesConfig } from "../kubernetes/config.ts";

/** Keeps Pods that need no GPU off its nodes. */
export const gpuTaint = { key: "nvidia.com/gpu", value: "present" } as const;

/** What lets a Pod onto them all the same. */
export const gpuToleration: Toleration = { key: gpuTaint.key, operator: "Exists", effect: "NoSchedule" };

/** By this label the device plugin's chart knows nodes with a GPU. */
export const gpuLabel = { "nvidia.com/gpu.present": "true" } as const;

/** StorageClass of a cluster of our own, and the PersistentVolume that is the data volume. */
export const storageClass = "tuneup-gp3";
export const volumeName = "tuneup-data";

/** Size of the data volume in GiB: what the claim asks for. */
export function dataGiB({ volume }: Pick<KubernetesConfig, "volume">): number {
  return Math.ceil(amountOf(volume.size) / 2 ** 30);
}

/** How Pods run on a cluster of our own, as far as the file alone decides it: on its nodes, with its volume. */
export function onOwnCluster(config: KubernetesConfig): KubernetesConfig {
  const isThere = config.tolerations.some(({ key, operator }) => key === gpuTaint.key && operator === "Exists");
  return {
    ...config,
    context: undefined,
    tolerations: isThere ? config.tolerations : [...config.tolerations, { ...gpuToleration }],
    volume: { ...config.volume, storageClassName: storageClass },
  };
}

/** What nodes, agents and the cluster's own Pods take of a node beside the Pod that trains or serves. */
const ownCpus = 3;
const ownShare = 0.05;
const ownGiB = 6;

/**
 * The same with what a Pod that trains or serves may take, where the file does not say it: all of the node but 3 CPUs and 6 GiB, which the kubelet,
 * the cluster's own Pods and an agent Pod of 2 CPUs and 4 GiB need.
 */
export function onNode(config: KubernetesConfig, { vcpus, ramGiB }: InstanceType): KubernetesConfig {
  const usual = kubernetes.parse({});
  const memory = Math.floor(ramGiB * (1 - ownShare) - ownGiB);
  const isStated = config.cpu !== usual.cpu || config.cpuRequest !== undefined;
  return {
    ...onOwnCluster(config),
    ...(isStated ? {} : { cpu: String(vcpus), cpuRequest: String(Math.max(1, vcpus - ownCpus)) }),
    memory: config.memory === usual.memory ? `${memory}Gi` : config.memory,
  };
}
