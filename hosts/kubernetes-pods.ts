import type { CoreV1Event, V1Pod } from "@kubernetes/client-node";
import type { Cluster } from "./kubernetes-cluster.ts";
import { claimTrouble, isReady, isRunning, podTrouble, type Trouble } from "./kubernetes-reasons.ts";

/** Pods of the namespace that have these labels, newest first. */
export async function podsWith(cluster: Cluster, labels: Readonly<Record<string, string>>): Promise<V1Pod[]> {
  const { namespace } = cluster.where;
  const labelSelector = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
  const { items } = await cluster.ask(cluster.core.listNamespacedPod({ namespace, labelSelector }));
  return items.sort((a, b) => madeAt(b) - madeAt(a));
}

/** The Pod of these that commands and connections go to: one that answers, else one that runs, the newest. */
export function livePod(pods: readonly V1Pod[]): V1Pod | undefined {
  return pods.find(isReady) ?? pods.find(isRunning);
}

/** Warnings about one object. */
export async function warningsOf(cluster: Cluster, kind: string, name: string): Promise<CoreV1Event[]> {
  const { namespace } = cluster.where;
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name},type=Warning`;
  return (await cluster.ask(cluster.core.listNamespacedEvent({ namespace, fieldSelector }))).items;
}

/** Why the Pod does not run yet; for one that has no volume, what the claim says of it. */
export async function troubleOf(cluster: Cluster, pod: V1Pod, claim: string): Promise<Trouble | undefined> {
  if (pod.status?.phase !== "Pending") return undefined;
  const told = podTrouble(pod, []);
  if (told?.kind === "volume") {
    return claimTrouble(await warningsOf(cluster, "PersistentVolumeClaim", claim)) ?? told;
  }
  return told ?? podTrouble(pod, await warningsOf(cluster, "Pod", nameOfPod(pod)));
}

/** Its name. */
export function nameOfPod({ metadata }: V1Pod): string {
  return metadata?.name ?? "";
}

function madeAt({ metadata }: V1Pod): number {
  return new Date(metadata?.creationTimestamp ?? 0).getTime();
}
