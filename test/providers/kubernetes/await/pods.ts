import type { Api } from "../api.ts";
import type { KubernetesObject } from "../objects.ts";
import { at, isBag, listAt, numberAt, textAt } from "../../protocol/wire.ts";

/** What keeps the Pods of a selector from being ready: one sentence for each Pod, as the kubelet or the scheduler says it. */
export async function podProblems(api: Api, namespace: string, selector: unknown): Promise<string[]> {
  const labels = at(selector, "matchLabels");
  if (!isBag(labels) || Object.keys(labels).length === 0) return [];
  const query = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  const pods = await api.list("v1", "Pod", namespace, query.join(","));
  // Those that are going, of an older template, are no problem.
  return pods.filter((pod) => at(pod, "metadata", "deletionTimestamp") === undefined).flatMap(problemOf);
}

/** Why the Pod is not ready, empty if it is or has ended well. */
export function problemOf(pod: KubernetesObject): string[] {
  const phase = textAt(pod, "status", "phase");
  if (phase === "Succeeded" || textAt(condition(pod, "Ready"), "status") === "True") return [];
  const name = `Pod ${textAt(pod, "metadata", "namespace")}/${textAt(pod, "metadata", "name")}`;
  const scheduled = condition(pod, "PodScheduled");
  if (textAt(scheduled, "status") === "False") return [`${name}: ${reasonOf(scheduled)}`];
  const containers = ["initContainerStatuses", "containerStatuses"].flatMap((list) =>
    listAt(pod, "status", list).flatMap(containerProblem),
  );
  const whole = textAt(pod, "status", "reason") === "" ? [] : [reasonOf(at(pod, "status"))];
  const found = [...whole, ...containers];
  if (found.length > 0) return [`${name}: ${found.join("; ")}`];
  const message = textAt(condition(pod, "Ready"), "message");
  return [`${name}: ${message === "" ? `it is ${phase === "" ? "new" : phase}` : message}`];
}

/** The condition of that type in an object's status. */
export function condition(object: unknown, type: string): unknown {
  return listAt(object, "status", "conditions").find((one) => textAt(one, "type") === type);
}

/** `Reason: message` of a condition or a state, with what there is of them. */
export function reasonOf(part: unknown): string {
  return [textAt(part, "reason"), textAt(part, "message")].filter((text) => text !== "").join(": ");
}

const underWay = new Set(["ContainerCreating", "PodInitializing"]);

function containerProblem(status: unknown): string[] {
  if (at(status, "ready") === true) return [];
  const name = `container ${textAt(status, "name")}`;
  const waiting = at(status, "state", "waiting");
  const ended = at(status, "state", "terminated") ?? at(status, "lastState", "terminated");
  const code = numberAt(ended, ["exitCode"]);
  const end = ended === undefined || code === 0 ? [] : [`${name} ended with exit code ${code} (${reasonOf(ended)})`];
  const wait =
    waiting === undefined || underWay.has(textAt(waiting, "reason")) ? [] : [`${name}: ${reasonOf(waiting)}`];
  return [...wait, ...end];
}
