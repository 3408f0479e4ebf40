import { setTimeout as delay } from "node:timers/promises";
import type { V1Job } from "@kubernetes/client-node";
import { nameOf, roleLabel, runLabel } from "../recipe/kubernetes/labels.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { podsWith } from "./kubernetes-pods.ts";
import { isFinished, jobFailure, podEnding } from "./kubernetes-reasons.ts";

/** The object that trains a run: a Job, or a TrainJob where it is on several machines. */
export interface Training {
  /** Undefined for a TrainJob, whose Jobs are JobSet's. */
  readonly job: V1Job | undefined;
  readonly isSuspended: boolean;
  /** Kueue's queue that it waits in; undefined where it is in none. */
  readonly queue: string | undefined;
  /** Ended, well or badly. */
  readonly isOver: boolean;
  /** Why the cluster gave it up; undefined where it did not. */
  readonly failure: string | undefined;
  suspend(suspended: boolean): Promise<void>;
  /** The same again, from its start: for one that is over. */
  renew(): Promise<void>;
}

/** The kind of training on several machines, as the API names it. */
export const trainers = { group: "trainer.kubeflow.org", version: "v1alpha1", plural: "trainjobs" } as const;

/** So long a controller may take to judge a Pod that ended; between two tries of one Pod after another there are longer pauses. */
const judgingMs = 10_000;
const judgingPollMs = 300;

const queueLabel = "kueue.x-k8s.io/queue-name";

/** What we read of an object that the cluster's own types don't have. */
interface Custom {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: Metadata;
  readonly spec?: Record<string, unknown> & { readonly suspend?: boolean };
  readonly status?: { readonly conditions?: readonly { type: string; status: string; message?: string }[] };
}

interface Metadata {
  readonly uid?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly managedFields?: readonly { readonly manager?: string; readonly operation?: string }[];
}

/** Labels that the Job controller gives, and that no new Job may have. */
const controllersLabel = /^(batch\.kubernetes\.io\/)?(controller-uid|job-name)$/;

/** Finds it by the run's name; undefined where there is none. */
export async function findTraining(cluster: Cluster, run: string): Promise<Training | undefined> {
  const { namespace } = cluster.where;
  const name = nameOf(run);
  const job = await cluster.find(cluster.batch.readNamespacedJob({ name, namespace }));
  if (job !== undefined) return jobTraining(cluster, name, job);
  // Where the cluster has no such kind, that is not found either.
  const found: unknown = await cluster.find(cluster.custom.getNamespacedCustomObject({ ...trainers, namespace, name }));
  return found === undefined ? undefined : customTraining(cluster, name, found as Custom);
}

/** Lets a run's Job start Pods again, where it was suspended; one that gave up is made again. Without a Job there is nothing to do. */
export async function resumeTraining(cluster: Cluster, run: string): Promise<void> {
  const training = await judgedTraining(cluster, run);
  if (training?.failure !== undefined) await training.renew();
  else if (training?.isSuspended === true) await training.suspend(false);
}

/** The training, when what became of its Pods is known: for a moment after the last one has ended its Job looks as if it went on. */
async function judgedTraining(cluster: Cluster, run: string): Promise<Training | undefined> {
  const asked = performance.now();
  for (;;) {
    const training = await findTraining(cluster, run);
    if (training === undefined || training.isOver || training.isSuspended) return training;
    const pods = await podsWith(cluster, { [runLabel]: run, [roleLabel]: "trainer" });
    const isOpen = pods.length > 0 && pods.every((pod) => podEnding(pod) !== undefined);
    if (!isOpen || performance.now() - asked > judgingMs) return training;
    await delay(judgingPollMs);
  }
}

function jobTraining(cluster: Cluster, name: string, job: V1Job): Training {
  const { namespace } = cluster.where;
  return {
    job,
    isSuspended: job.spec?.suspend === true,
    queue: job.metadata?.labels?.[queueLabel],
    isOver: isFinished(job),
    failure: jobFailure(job),
    suspend: async (suspended) => {
      const body = [{ op: "add", path: "/spec/suspend", value: suspended }];
      await cluster.ask(cluster.batch.patchNamespacedJob({ name, namespace, body }));
    },
    renew: async () => {
      const { batch } = cluster;
      await cluster.find(batch.deleteNamespacedJob({ name, namespace, propagationPolicy: "Background" }));
      await gone(cluster, () => batch.readNamespacedJob({ name, namespace }));
      const body = asNew(JSON.parse(JSON.stringify(job)) as Custom, name, namespace) as V1Job;
      await cluster.ask(batch.createNamespacedJob({ namespace, body, fieldManager: managerOf(job.metadata) }));
    },
  };
}

function customTraining(cluster: Cluster, name: string, found: Custom): Training {
  const place = { ...trainers, namespace: cluster.where.namespace };
  const { custom } = cluster;
  const condition = (type: string) =>
    found.status?.conditions?.find((one) => one.type === type && one.status === "True");
  return {
    job: undefined,
    isSuspended: found.spec?.suspend === true,
    queue: found.metadata?.labels?.[queueLabel],
    isOver: condition("Complete") !== undefined || condition("Failed") !== undefined,
    failure: condition("Failed") === undefined ? undefined : (condition("Failed")?.message ?? "it failed"),
    suspend: async (suspended) => {
      const body = [{ op: "add", path: "/spec/suspend", value: suspended }];
      await cluster.ask(custom.patchNamespacedCustomObject({ ...place, name, body }));
    },
    renew: async () => {
      await cluster.find(custom.deleteNamespacedCustomObject({ ...place, name, propagationPolicy: "Background" }));
      await gone(cluster, () => custom.getNamespacedCustomObject({ ...place, name }));
      const body = asNew(found, name, place.namespace);
      await cluster.ask(
        custom.createNamespacedCustomObject({ ...place, body, fieldManager: managerOf(found.metadata) }),
      );
    },
  };
}

/** The object as it was asked for, without what the cluster wrote into it. */
function asNew({ apiVersion, kind, metadata = {}, spec = {} }: Custom, name: string, namespace: string): object {
  const { template, ...rest } = without(spec, /^(selector|suspend)$/);
  const { annotations = {}, labels = {} } = metadata;
  const kept = { name, namespace, annotations, labels: without(labels, controllersLabel) };
  if (template === undefined) return { apiVersion, kind, metadata: kept, spec: rest };
  const { metadata: inner = {}, ...pod } = template as { metadata?: Metadata };
  const marked = { ...inner, labels: without(inner.labels ?? {}, controllersLabel) };
  return { apiVersion, kind, metadata: kept, spec: { ...rest, template: { ...pod, metadata: marked } } };
}

function without<T>(record: Readonly<Record<string, T>>, names: RegExp): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.test(name)));
}

/** Who manages its fields, so that they stay whose they are. */
function managerOf(metadata: Metadata | V1Job["metadata"]): string {
  return metadata?.managedFields?.find(({ manager }) => manager?.startsWith("pulumi") === true)?.manager ?? "tuneup";
}

async function gone(cluster: Cluster, read: () => Promise<unknown>): Promise<void> {
  while ((await cluster.find(read())) !== undefined) await delay(500);
}
