import type { CoreV1Event, V1ContainerStatus, V1Job, V1Pod } from "@kubernetes/client-node";
import { Fault } from "../recipe/fault.ts";
import type { KubernetesTiming } from "./kubernetes-timing.ts";

/** Why a Pod does not run. */
export interface Trouble {
  readonly kind: keyof typeof kinds;
  /** What the cluster says of it. */
  readonly message: string;
}

/** `slow`: may take minutes and be right. The rest does not mend itself, but for a registry or an API that was away for a moment. */
const kinds = {
  node: {
    code: "pod-unschedulable",
    slow: true,
    waits: "waits for a node",
    property: "kubernetes",
    next: "Free a node that fits, or ask for less: kubernetes.cpu, kubernetes.memory, compute.gpus, kubernetes.nodeSelector. It starts as soon as one is free.",
  },
  pod: {
    code: "pod-missing",
    slow: true,
    waits: "waits for the cluster",
    property: "kubernetes",
    next: "Look whether the cluster's Job controller works.",
  },
  attach: {
    code: "volume-unavailable",
    slow: true,
    waits: "waits for its volume",
    property: "kubernetes.volume",
    next: "It may still be held by a node that is gone; the cluster lets go of that after some minutes.",
  },
  volume: {
    code: "volume-unavailable",
    slow: false,
    waits: "waits for its volume",
    property: "kubernetes.volume",
    next: "Name a StorageClass that the cluster has (kubernetes.volume.storageClassName), and a size that it gives.",
  },
  image: {
    code: "image-unavailable",
    slow: false,
    waits: "waits for its image",
    property: "kubernetes.image",
    next: "Name an image that the nodes can pull, and its secret (kubernetes.imagePullSecrets) where the registry asks for one.",
  },
  settings: {
    code: "pod-unstartable",
    slow: false,
    waits: "can't start its container",
    property: "kubernetes",
    next: "Change what it names in `tuneup:kubernetes`; the image needs bash.",
  },
  refused: {
    code: "pod-refused",
    slow: false,
    waits: "is not let in",
    property: "kubernetes",
    next: "Ask for less (kubernetes.cpu, kubernetes.memory), or have the namespace's owner change its quota or policy.",
  },
} as const;

const imageReasons = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];
const settingsReasons = [
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
  "StartError",
  "PreCreateHookError",
];

/** Why the Pod does not run yet, from its status and its events; undefined while nothing is wrong. */
export function podTrouble({ status }: V1Pod, events: readonly CoreV1Event[]): Trouble | undefined {
  if (status?.phase !== "Pending") return undefined;
  const unscheduled = status.conditions?.find(
    ({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable",
  );
  if (unscheduled?.status === "False") {
    const message = oneLine(unscheduled.message);
    return { kind: /persistentvolumeclaim/i.test(message) ? "volume" : "node", message };
  }
  for (const { state } of status.containerStatuses ?? []) {
    const reason = state?.waiting?.reason ?? "";
    const said = oneLine(state?.waiting?.message ?? reason);
    if (imageReasons.includes(reason)) return { kind: "image", message: said };
    if (settingsReasons.includes(reason)) return { kind: "settings", message: said };
  }
  return eventTrouble(events);
}

/** What the newest warning says that keeps a container from being made. */
function eventTrouble(events: readonly CoreV1Event[]): Trouble | undefined {
  for (const { reason = "", message } of newestFirst(events)) {
    if (reason === "FailedAttachVolume") return { kind: "attach", message: oneLine(message) };
    if (reason === "FailedMount") return { kind: "volume", message: oneLine(message) };
    if (reason === "FailedCreatePodSandBox") return { kind: "settings", message: oneLine(message) };
  }
  return undefined;
}

/** Why a claim has no volume, from its events. */
export function claimTrouble(events: readonly CoreV1Event[]): Trouble | undefined {
  const failed = newestFirst(events).find(({ reason }) => reason === "ProvisioningFailed");
  return failed === undefined ? undefined : { kind: "volume", message: oneLine(failed.message) };
}

/** Why a Job has no Pod, from its events. */
export function jobTrouble(events: readonly CoreV1Event[]): Trouble {
  const failed = newestFirst(events).find(({ reason }) => reason === "FailedCreate");
  if (failed === undefined) return { kind: "pod", message: "its Job has no Pod yet" };
  return { kind: "refused", message: oneLine(failed.message) };
}

/** How a Pod that does not run any more ended, in words; undefined while it may run. */
export function podEnding({ status, metadata }: V1Pod): string | undefined {
  if (status?.phase === "Failed" && status.reason !== undefined) {
    return status.message === undefined ? status.reason : `${status.reason}: ${oneLine(status.message)}`;
  }
  const ended = terminated(status?.containerStatuses ?? []);
  if (ended !== undefined) {
    return ended.reason === "OOMKilled"
      ? "it ran out of memory (OOMKilled)"
      : `it ended with exit code ${ended.exitCode}`;
  }
  if (status?.phase === "Failed" || status?.phase === "Succeeded") return `it is ${status.phase}`;
  return metadata?.deletionTimestamp === undefined ? undefined : "it was deleted";
}

/** Why its container is started again and again, in words; undefined where it is not. */
export function podRestarts({ status }: V1Pod): string | undefined {
  const back = status?.containerStatuses?.find(({ state }) => state?.waiting?.reason === "CrashLoopBackOff");
  const end = back?.lastState?.terminated;
  if (back === undefined) return undefined;
  const how =
    end?.reason === "OOMKilled" ? "it runs out of memory (OOMKilled)" : `exit code ${end?.exitCode ?? "unknown"}`;
  return `its container ends again and again (${back.restartCount} times): ${how}`;
}

/** Did its container take more memory than its limit? */
export function ranOutOfMemory({ status }: V1Pod): boolean {
  return terminated(status?.containerStatuses ?? [])?.reason === "OOMKilled";
}

/** Does its container run, and is it to stay? */
export function isRunning({ status, metadata }: V1Pod): boolean {
  if (status?.phase !== "Running" || metadata?.deletionTimestamp !== undefined) return false;
  return (status.containerStatuses ?? []).some(({ state }) => state?.running !== undefined);
}

/** Does the cluster send requests to it? */
export function isReady(pod: V1Pod): boolean {
  return isRunning(pod) && pod.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
}

/** Why a Job gave up, in its own words; undefined while it has not. */
export function jobFailure({ status }: V1Job): string | undefined {
  const failed = status?.conditions?.find((condition) => condition.type === "Failed" && condition.status === "True");
  return failed === undefined ? undefined : oneLine(failed.message ?? failed.reason);
}

/** Has the Job ended, well or badly? */
export function isFinished({ status }: V1Job): boolean {
  return status?.conditions?.some(({ type, status: is }) => is === "True" && /^(Complete|Failed)$/.test(type)) ?? false;
}

/** How long a Pod's trouble is borne. */
export class PodPatience {
  readonly #timing: KubernetesTiming;
  #kind: Trouble["kind"] | undefined;
  #since = 0;

  constructor(timing: KubernetesTiming) {
    this.#timing = timing;
  }

  /** The line to show for what `subject` (`the training`) waits for; undefined where nothing is wrong. Throws Fault when it lasted too long. */
  bear(subject: string, trouble: Trouble | undefined): string | undefined {
    if (trouble?.kind !== this.#kind) this.#since = performance.now();
    this.#kind = trouble?.kind;
    if (trouble === undefined) return undefined;
    const { code, slow, waits, property, next } = kinds[trouble.kind];
    const waited = performance.now() - this.#since;
    const line = `${subject} ${waits}: ${trouble.message}`;
    if (waited <= (slow ? this.#timing.patience : this.#timing.startPatience)) return line;
    throw new Fault({ code, property, message: sentence(line), next, blame: "user" });
  }
}

function terminated(statuses: readonly V1ContainerStatus[]) {
  return statuses.map(({ state }) => state?.terminated).find((end) => end !== undefined);
}

function newestFirst(events: readonly CoreV1Event[]): CoreV1Event[] {
  const at = ({ lastTimestamp, eventTime, metadata }: CoreV1Event): number =>
    new Date(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? 0).getTime();
  return [...events].sort((a, b) => at(b) - at(a));
}

function oneLine(text: string | undefined): string {
  return (text ?? "no reason given").replace(/\s+/g, " ").trim().slice(0, 500);
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
