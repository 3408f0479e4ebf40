import type { Api } from "../api.ts";
import type { KubernetesObject } from "../objects.ts";
import { at, numberAt, textAt } from "../../protocol/wire.ts";
import { condition, podProblems, problemOf, reasonOf } from "./pods.ts";
import type { Readiness } from "./look.ts";

/** The rollout is done: every replica is of the newest template and available (minReadySeconds included), and no old one is left. */
export async function isDeploymentReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const want = numberAt(live, ["spec", "replicas"], 1);
  const [updated, available, all] = ["updatedReplicas", "availableReplicas", "replicas"].map((key) =>
    numberAt(live, ["status", key]),
  ) as [number, number, number];
  const ready = isObserved(live) && updated >= want && available >= want && all <= updated;
  const progressing = condition(live, "Progressing");
  const stuck = textAt(progressing, "status") === "False" ? [reasonOf(progressing)] : [];
  const refused = textAt(condition(live, "ReplicaFailure"), "message");
  return {
    ready,
    progress: `${updated} of ${want} replicas are of the new template, ${available} available, ${all - updated} old ones left`,
    reasons: ready ? [] : [...stuck, ...(refused === "" ? [] : [refused]), ...(await problems(live, api))],
  };
}

/** Every replica is of the newest revision and ready. */
export async function isStatefulSetReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const want = numberAt(live, ["spec", "replicas"], 1);
  const readyOnes = numberAt(live, ["status", "readyReplicas"]);
  const newest = textAt(live, "status", "currentRevision") === textAt(live, "status", "updateRevision");
  const ready = isObserved(live) && readyOnes >= want && (newest || want === 0);
  const progress = `${readyOnes} of ${want} replicas are ready`;
  return { ready, progress, reasons: ready ? [] : await problems(live, api) };
}

/** Every node that should has the newest Pod, available. */
export async function isDaemonSetReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const want = numberAt(live, ["status", "desiredNumberScheduled"]);
  const updated = numberAt(live, ["status", "updatedNumberScheduled"]);
  const available = numberAt(live, ["status", "numberAvailable"]);
  const ready = isObserved(live) && updated >= want && available >= want;
  const progress = `${updated} of ${want} nodes have the new Pod, ${available} available`;
  return { ready, progress, reasons: ready ? [] : await problems(live, api) };
}

/** Complete; a failed Job is given up at once. */
export async function isJobReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const failed = condition(live, "Failed");
  const counts = ["active", "succeeded", "failed"].map((key) => `${numberAt(live, ["status", key])} ${key}`);
  const progress = `Pods: ${counts.join(", ")}`;
  if (textAt(condition(live, "Complete"), "status") === "True") return { ready: true, progress, reasons: [] };
  if (textAt(failed, "status") !== "True") return { ready: false, progress, reasons: await problems(live, api) };
  return { ready: false, failed: true, progress, reasons: [reasonOf(failed), ...(await problems(live, api))] };
}

/** Ready, or ended well. */
export function isPodReady(live: KubernetesObject): Readiness {
  const reasons = problemOf(live);
  const phase = textAt(live, "status", "phase");
  return { ready: reasons.length === 0 && phase !== "", progress: reasons[0] ?? phase, reasons };
}

function isObserved(live: KubernetesObject): boolean {
  return numberAt(live, ["status", "observedGeneration"], -1) >= numberAt(live, ["metadata", "generation"], 0);
}

function problems(live: KubernetesObject, api: Api): Promise<string[]> {
  return podProblems(api, textAt(live, "metadata", "namespace"), at(live, "spec", "selector"));
}
