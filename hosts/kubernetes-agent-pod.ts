import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { V1Job, V1Pod } from "@kubernetes/client-node";
import { canonicalJson } from "../recipe/canonical.ts";
import { Fault } from "../recipe/fault.ts";
import type { KubernetesHostSpec } from "../recipe/host.ts";
import { podLabels } from "../recipe/kubernetes/labels.ts";
import { podSpec } from "../recipe/kubernetes/pod.ts";
import type { CommandOptions } from "./host.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { livePod, nameOfPod, podsWith, troubleOf, warningsOf } from "./kubernetes-pods.ts";
import { isFinished, jobTrouble, podEnding, PodPatience, type Trouble } from "./kubernetes-reasons.ts";
import type { KubernetesTiming } from "./kubernetes-timing.ts";

/** Marks the Pods that were made from the same settings: one of others is not taken. */
const settingsLabel = "tuneup.dev/agent";

/** The Job controller's own. */
const jobLabel = "batch.kubernetes.io/job-name";

/** So many Pods are made for one wish: what ends each time ends for a reason. */
const mostMade = 3;

/** It ends by itself when no command of ours ran in it for so long: processes beside the shell are commands. */
const idleScript = `trap 'exit 0' TERM INT
shopt -s nullglob
idle=0
while [ "$idle" -lt 30 ]; do
  sleep 2
  processes=(/proc/[0-9]*)
  if [ "\${#processes[@]}" -gt 1 ]; then idle=0; else idle=$((idle + 1)); fi
done
`;

/** A Pod that commands run in where no other of ours is: it is made when one is wanted, and ends by itself a minute after its last command. */
export class AgentPod {
  readonly #cluster: Cluster;
  readonly #spec: KubernetesHostSpec;
  readonly #timing: KubernetesTiming;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #listeners = new Set<(message: string) => void>();
  #closing = new AbortController();
  #made: string | undefined;
  #making: Promise<string> | undefined;

  constructor(cluster: Cluster, spec: KubernetesHostSpec, timing: KubernetesTiming) {
    this.#cluster = cluster;
    this.#spec = spec;
    this.#timing = timing;
    const settings = createHash("sha256")
      .update(canonicalJson(agentPodSpec(spec)))
      .digest("hex")
      .slice(0, 12);
    this.#labels = { ...podLabels("agent", { claim: spec.claim }), [settingsLabel]: settings };
  }

  /** Name of the one that runs; undefined where none does. Makes none. */
  async find(): Promise<string | undefined> {
    const pod = livePod(await podsWith(this.#cluster, this.#labels));
    return pod === undefined ? undefined : nameOfPod(pod);
  }

  /** Name of one that runs, made if there is none: one for all who ask at once. Throws Fault where it does not come to run. */
  async ensure({ onProgress, signal }: CommandOptions = {}): Promise<string> {
    const running = await this.find();
    if (running !== undefined) return running;
    const listener = (message: string): void => onProgress?.({ message });
    this.#listeners.add(listener);
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
    try {
      return await unlessAborted(this.#making, signal);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Deletes the one that this process made. */
  async delete(): Promise<void> {
    this.#closing.abort();
    this.#closing = new AbortController();
    await this.#deleteMade();
  }

  async #deleteMade(): Promise<void> {
    const name = this.#made;
    this.#made = undefined;
    if (name === undefined) return;
    const request = { name, namespace: this.#cluster.where.namespace, propagationPolicy: "Background" };
    await this.#cluster.find(this.#cluster.batch.deleteNamespacedJob(request));
  }

  async #make(): Promise<string> {
    const { signal } = this.#closing;
    const patience = new PodPatience(this.#timing);
    let shown = "";
    let made = 0;
    try {
      for (;;) {
        const pods = await podsWith(this.#cluster, this.#labels);
        const live = livePod(pods);
        if (live !== undefined) return nameOfPod(live);
        const coming = pods.find(
          (pod) => pod.status?.phase === "Pending" && pod.metadata?.deletionTimestamp === undefined,
        );
        const job = coming === undefined ? await this.#comingJob(pods) : undefined;
        if (coming === undefined && job === undefined) {
          if (made === mostMade) throw doesNotStay(pods[0], this.#cluster);
          await this.#createJob();
          made += 1;
        }
        const trouble = await this.#troubleOf(coming, job);
        const line = patience.bear("the Pod for commands", trouble) ?? "starting a Pod for commands";
        if (line !== shown) for (const listener of this.#listeners) listener(line);
        shown = line;
        await delay(this.#timing.poll, undefined, { signal });
      }
    } catch (thrown) {
      // Nobody waits for it any more.
      await this.#deleteMade().catch(() => undefined);
      throw thrown;
    }
  }

  /** Why there is no Pod that runs yet. */
  async #troubleOf(pod: V1Pod | undefined, job: V1Job | undefined): Promise<Trouble | undefined> {
    if (pod !== undefined) return troubleOf(this.#cluster, pod, this.#spec.claim);
    return job === undefined ? undefined : jobTrouble(await warningsOf(this.#cluster, "Job", job.metadata?.name ?? ""));
  }

  /** The Job that will bring a Pod; undefined where each has brought its own. */
  async #comingJob(pods: readonly V1Pod[]): Promise<V1Job | undefined> {
    const { namespace } = this.#cluster.where;
    const labelSelector = `${settingsLabel}=${this.#labels[settingsLabel] ?? ""}`;
    const { items } = await this.#cluster.ask(this.#cluster.batch.listNamespacedJob({ namespace, labelSelector }));
    const brought = pods.map(({ metadata }) => metadata?.labels?.[jobLabel]);
    return items.find(
      (job) =>
        !isFinished(job) && job.metadata?.deletionTimestamp === undefined && !brought.includes(job.metadata?.name),
    );
  }

  async #createJob(): Promise<void> {
    const name = `tuneup-agent-${randomBytes(4).toString("hex")}`;
    const { namespace } = this.#cluster.where;
    const metadata = { name, namespace, labels: { ...this.#labels } };
    const template = { metadata: { labels: { ...this.#labels } }, spec: agentPodSpec(this.#spec) };
    const spec = { backoffLimit: 0, ttlSecondsAfterFinished: 30, template };
    const body = { metadata, spec } as unknown as V1Job;
    await this.#cluster.ask(this.#cluster.batch.createNamespacedJob({ namespace, body }));
    this.#made = name;
  }
}

/** It mostly waits: a node that is full with what trains has room for it. */
const requests = { cpuRequest: "100m", memoryRequest: "256Mi" };

/** What it is made of; GPUs are for those who train and serve. */
function agentPodSpec(spec: KubernetesHostSpec) {
  const { image, claim, cpu, memory, imagePullSecrets, nodeSelector, tolerations, shareNode } = spec;
  return podSpec({
    ...{ image, claim, cpu, memory, ...requests, imagePullSecrets, nodeSelector, tolerations, shareNode },
    command: ["bash", "-c", idleScript, "tuneup"],
    graceSeconds: 10,
    restartPolicy: "Never",
  });
}

function doesNotStay(pod: V1Pod | undefined, { where }: Cluster): Fault {
  const ending = pod === undefined ? "it is gone at once" : (podEnding(pod) ?? "it is gone at once");
  return new Fault({
    code: "pod-unstartable",
    property: "kubernetes.image",
    message: `The Pod for commands in namespace ${where.namespace} does not stay: ${ending}.`,
    next: "The image needs bash, and Python 3.11 to 3.13; if it has them, look at the node.",
  });
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void =>
    aborted.reject(
      new Fault({ code: "cancelled", message: "Waiting for a Pod was cancelled.", blame: "infrastructure" }),
    );
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
