import { setTimeout as delay } from "node:timers/promises";
import type { CommandOptions } from "./host.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { clusterFault, isPassing } from "./kubernetes-faults.ts";
import type { KubernetesTiming } from "./kubernetes-timing.ts";

/** Asks the API server again while it does not answer, as long as the timing's patience. Throws what another try does not mend. */
export async function insist<T>(
  cluster: Cluster,
  { patience, poll }: KubernetesTiming,
  { onProgress, signal }: CommandOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { context, namespace } = cluster.where;
  const since = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (thrown) {
      const fault = clusterFault(thrown, cluster.where);
      if (!isPassing(fault) || signal?.aborted === true || performance.now() - since > patience) throw fault;
      onProgress?.({ message: `the connection to ${context}/${namespace} is lost; trying again` });
    }
    await delay(poll, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}
