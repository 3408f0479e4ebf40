/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment, @typescript-eslint/no-misused-spread -- objects of the API are plain data here, whatever classes the client has for them */
import type {
  CoreV1Event,
  V1Job,
  V1Node,
  V1Pod,
  V1PodStatus,
  V1SelfSubjectAccessReview,
  V1StorageClass,
} from "@kubernetes/client-node";

/** What the server answers. */
export interface Answer {
  readonly status: number;
  readonly body: object;
}

type Named = { metadata?: { name?: string; labels?: Record<string, string> } };

/** A status of a Pod whose container runs. */
export const running: V1PodStatus = {
  phase: "Running",
  conditions: [{ type: "Ready", status: "True" }],
  containerStatuses: [{ name: "tuneup", image: "", imageID: "", ready: true, restartCount: 0, state: { running: {} } }],
};

/** One that waits for the reason that a container gives. */
export function waitingFor(reason: string, message: string): V1PodStatus {
  const [one] = running.containerStatuses!;
  return { phase: "Pending", containerStatuses: [{ ...one!, ready: false, state: { waiting: { reason, message } } }] };
}

/** One that the scheduler finds no node for. */
export function unschedulable(message: string): V1PodStatus {
  return {
    phase: "Pending",
    conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
  };
}

/** One whose container ended. */
export function ended(reason: string, exitCode: number): V1PodStatus {
  const [one] = running.containerStatuses!;
  return { phase: "Failed", containerStatuses: [{ ...one!, state: { terminated: { reason, exitCode } } }] };
}

/** The objects of a cluster, in memory. A Job brings a Pod with `podStatus` as soon as it is made. */
export class FakeObjects {
  readonly namespace: string;
  readonly pods = new Map<string, V1Pod>();
  readonly jobs = new Map<string, V1Job>();
  readonly claims = new Map<string, object>([
    ["tuneup-data", { metadata: { name: "tuneup-data" }, status: { phase: "Bound", capacity: { storage: "30Gi" } } }],
  ]);
  nodes: V1Node[] = [];
  classes: V1StorageClass[] = [{ metadata: { name: "standard" }, provisioner: "fake" }];
  events: CoreV1Event[] = [];
  version = "v1.37.0";
  /** What the user may not do: `create pods/exec`. */
  denied: string[] = [];
  podStatus: V1PodStatus = running;
  #made = 0;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  isRunning(name: string): boolean {
    return this.pods.get(name)?.status?.phase === "Running";
  }

  /** Puts a Pod there. */
  addPod(name: string, labels: Record<string, string>, status: V1PodStatus): V1Pod {
    this.#made += 1;
    const creationTimestamp = new Date(1e12 + this.#made * 1000);
    const pod: V1Pod = { metadata: { name, labels, creationTimestamp }, status };
    this.pods.set(name, pod);
    return pod;
  }

  /** As a node that goes: its Pods are gone, and their Jobs have failed. */
  drain(): void {
    this.pods.clear();
    for (const job of this.jobs.values()) this.fail(job.metadata?.name ?? "", "BackoffLimitExceeded");
  }

  /** As a Job that the controller gave up. */
  fail(job: string, message: string): void {
    const found = this.jobs.get(job);
    if (found !== undefined) found.status = { conditions: [{ type: "Failed", status: "True", message }] };
  }

  answer(method: string, url: URL, body: unknown): Answer {
    if (url.pathname === "/version") return { status: 200, body: { gitVersion: this.version } };
    if (url.pathname.endsWith("/selfsubjectaccessreviews")) return this.#review(body as V1SelfSubjectAccessReview);
    const inNamespace = new RegExp(`/namespaces/${this.namespace}/(\\w+)(?:/([\\w.-]+))?$`).exec(url.pathname);
    const [, kind, name] = inNamespace ?? /\/(nodes|storageclasses)$/.exec(url.pathname) ?? [];
    if (kind === "nodes") return list(this.nodes);
    if (kind === "storageclasses") return list(this.classes);
    if (kind === "events") return list(this.events.filter((event) => matches(event, url)));
    const kept = { pods: this.pods, jobs: this.jobs, persistentvolumeclaims: this.claims }[kind ?? ""];
    if (kept === undefined) return notFound(url.pathname);
    if (method === "POST" && kind === "jobs") return this.#makeJob(body as V1Job);
    if (name === undefined) return list([...kept.values()].filter((one) => isSelected(one, url)));
    const found = kept.get(name);
    if (found === undefined) return notFound(`${kind ?? ""} "${name}"`);
    if (method === "DELETE") this.#delete(kind ?? "", name);
    if (method === "PATCH") this.#patch(found, body as { path: string; value: boolean }[]);
    return { status: 200, body: found };
  }

  #review({ spec }: V1SelfSubjectAccessReview): Answer {
    const { verb = "", resource = "", subresource = "" } = spec.resourceAttributes ?? {};
    const asked = `${verb} ${resource}${subresource === "" ? "" : `/${subresource}`}`;
    return { status: 201, body: { status: { allowed: !this.denied.includes(asked) } } };
  }

  #makeJob(job: V1Job): Answer {
    const name = job.metadata?.name ?? "";
    this.jobs.set(name, { ...job, status: {} });
    const labels = { ...job.spec?.template.metadata?.labels, "batch.kubernetes.io/job-name": name };
    this.addPod(`${name}-pod`, labels, this.podStatus);
    return { status: 201, body: job };
  }

  #delete(kind: string, name: string): void {
    if (kind === "jobs") {
      this.jobs.delete(name);
      for (const [pod, { metadata }] of this.pods) {
        if (metadata?.labels?.["batch.kubernetes.io/job-name"] === name) this.pods.delete(pod);
      }
    } else this.pods.delete(name);
  }

  /** Suspending ends a Job's Pods; resuming brings one. */
  #patch(job: V1Job, changes: readonly { path: string; value: boolean }[]): void {
    for (const { path, value } of changes)
      if (path === "/spec/suspend" && job.spec !== undefined) job.spec.suspend = value;
    const name = job.metadata?.name ?? "";
    const labels = { ...job.spec?.template.metadata?.labels, "batch.kubernetes.io/job-name": name };
    if (job.spec?.suspend === true) this.#deletePodsOf(name);
    else this.addPod(`${name}-again`, labels, this.podStatus);
  }

  #deletePodsOf(job: string): void {
    for (const [pod, { metadata }] of this.pods) {
      if (metadata?.labels?.["batch.kubernetes.io/job-name"] === job) this.pods.delete(pod);
    }
  }
}

function list(items: readonly object[]): Answer {
  return { status: 200, body: { items } };
}

function notFound(what: string): Answer {
  return { status: 404, body: { kind: "Status", status: "Failure", reason: "NotFound", message: `${what} not found` } };
}

function isSelected({ metadata }: Named, url: URL): boolean {
  const wanted = (url.searchParams.get("labelSelector") ?? "").split(",").filter(Boolean);
  return wanted.every((pair) => metadata?.labels?.[pair.split("=")[0] ?? ""] === pair.split("=")[1]);
}

function matches({ involvedObject }: CoreV1Event, url: URL): boolean {
  const fields = new Map<string, string>(
    (url.searchParams.get("fieldSelector") ?? "").split(",").map((pair) => [pair.split("=")[0]!, pair.split("=")[1]!]),
  );
  return (
    involvedObject.name === fields.get("involvedObject.name") &&
    involvedObject.kind === fields.get("involvedObject.kind")
  );
}
