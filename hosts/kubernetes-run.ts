import { setTimeout as delay } from "node:timers/promises";
import type { V1Job, V1Pod } from "@kubernetes/client-node";
import { Fault } from "../recipe/fault.ts";
import { nameOf, roleLabel, runLabel } from "../recipe/kubernetes/labels.ts";
import type { CommandOutput } from "../recipe/protocol.ts";
import type { CommandOptions, Host } from "./host.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { insist } from "./kubernetes-insist.ts";
import { nameOfPod, podsWith, troubleOf, warningsOf } from "./kubernetes-pods.ts";
import { jobTrouble, podEnding, PodPatience, ranOutOfMemory, type Trouble } from "./kubernetes-reasons.ts";
import { findTraining, type Training } from "./kubernetes-training.ts";
import type { KubernetesTiming } from "./kubernetes-timing.ts";

/** What a training on a cluster is watched with. */
export interface RunPlace {
  readonly cluster: Cluster;
  readonly claim: string;
  readonly timing: KubernetesTiming;
  /** Where the agent reads what the volume says of the run. */
  readonly agent: Pick<Host, "run">;
}

/** Looks at the Pods are so many times rarer than at one that is to start: a training takes hours. */
const rarer = 3;

/** So many Pods may run out of memory: one may have met a neighbour. */
const mostStarved = 2;

/**
 * Follows a run to its end, as the agent tells it from the volume; what keeps its Pods from running, the cluster tells. Throws the run's
 * fault, and `pod-unschedulable`, `image-unavailable`, `volume-unavailable`, `job-failed`, `job-missing`.
 */
export async function waitForPodRun(
  place: RunPlace,
  run: string,
  options: CommandOptions,
): Promise<CommandOutput<"run-wait">> {
  const watch = new RunWatch(place, run);
  const ending = new AbortController();
  const stop = (): void => ending.abort();
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted === true) stop();
  const tell = (message: string): void => options.onProgress?.({ message });
  const quiet: CommandOptions = {
    ...options,
    signal: ending.signal,
    // What the cluster says is nearer to the cause than `queued`.
    onProgress: (progress) => {
      if (watch.line === undefined) options.onProgress?.(progress);
    },
  };
  const following = place.agent.run("run-wait", { run }, quiet);
  const watching = watch.go(ending.signal, tell);
  try {
    return await Promise.race([following, watching]);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    ending.abort();
    await Promise.allSettled([following, watching]);
  }
}

/** Looks at a run's Job and Pods until it is told to end. */
class RunWatch {
  /** What is in the way of the run at the moment, for people. */
  line: string | undefined;
  readonly #place: RunPlace;
  readonly #run: string;
  readonly #patience: PodPatience;
  #badSince: number | undefined;
  #starvedBefore: ReadonlySet<string> | undefined;

  constructor(place: RunPlace, run: string) {
    this.#place = place;
    this.#run = run;
    this.#patience = new PodPatience(place.timing);
  }

  /** Never returns: it ends by a Fault, or by the signal, with which nobody listens any more. */
  async go(signal: AbortSignal, tell: (line: string) => void): Promise<never> {
    for (;;) {
      await delay(this.#place.timing.poll * rarer, undefined, { signal });
      const line = await this.#look().catch((thrown: unknown) => {
        // The command that follows says so too, and has its own patience.
        if (thrown instanceof Fault && thrown.blame === "infrastructure" && thrown.code.startsWith("cluster-"))
          return undefined;
        throw thrown;
      });
      if (line !== undefined && line !== this.line) tell(line);
      this.line = line;
    }
  }

  async #look(): Promise<string | undefined> {
    const { cluster, claim } = this.#place;
    const pods = await podsWith(cluster, { [runLabel]: this.#run, [roleLabel]: "trainer" });
    const waiting = pods.find(({ status }) => status?.phase === "Pending");
    const training = await findTraining(cluster, this.#run);
    await this.#endStarving(training, pods);
    const over = training === undefined ? missing(this.#run, cluster) : ended(this.#run, training, pods);
    if (over !== undefined) return this.#give(over);
    if (training?.isSuspended === true) return `the training waits in queue ${training.queue ?? ""}`;
    this.#badSince = undefined;
    const trouble =
      waiting !== undefined ? await troubleOf(cluster, waiting, claim) : await this.#refusal(pods, training?.job);
    return this.#patience.bear("the training", trouble);
  }

  /** A Pod that takes too much memory does so again: after the second one the training is held, so that it pays for no more of them. */
  async #endStarving(training: Training | undefined, pods: readonly V1Pod[]): Promise<void> {
    const starved = pods.filter(ranOutOfMemory).map(nameOfPod);
    this.#starvedBefore ??= new Set(starved);
    const now = starved.filter((name) => this.#starvedBefore?.has(name) === false);
    if (training === undefined || training.isOver || now.length < mostStarved) return;
    await training.suspend(true);
    throw outOfMemory(this.#run, now[0] ?? "");
  }

  /** A Job whose Pods are not let in has none. */
  async #refusal(pods: readonly V1Pod[], job: V1Job | undefined): Promise<Trouble | undefined> {
    if (pods.length > 0 || job?.metadata?.name === undefined) return undefined;
    return jobTrouble(await warningsOf(this.#place.cluster, "Job", job.metadata.name));
  }

  /** The record of the run says best why it ended: its own fault goes first, and the Job may be made in this moment. */
  #give(over: Fault): string {
    this.#badSince ??= performance.now();
    if (performance.now() - this.#badSince > this.#place.timing.startPatience) throw over;
    return over.message;
  }
}

function outOfMemory(run: string, pod: string): Fault {
  return new Fault({
    code: "pod-out-of-memory",
    property: "kubernetes.memory",
    message: `The Pods of run ${run} took more memory than their limit, and the cluster ended them (OOMKilled): ${mostStarved} of them, ${pod} the last. The run is held.`,
    next: "Give them more (kubernetes.memory), or train in smaller batches, and run this again: it goes on from its last checkpoint.",
  });
}

function missing(run: string, { where }: Cluster): Fault {
  return new Fault({
    code: "job-missing",
    message: `There is no Job ${nameOf(run)} in namespace ${where.namespace}, and the run is not complete.`,
    next: "`npx tuneup up` makes it again, and it goes on from its last checkpoint.",
    blame: "infrastructure",
  });
}

/** The Job gave up, or somebody suspended it; undefined while it goes on. A queue suspends what it lets in later. */
function ended(run: string, { failure, isSuspended, queue }: Training, pods: readonly V1Pod[]): Fault | undefined {
  if (failure === undefined) return isSuspended && queue === undefined ? suspended(run) : undefined;
  const [last] = pods.filter((pod) => podEnding(pod) !== undefined);
  const isMemory = last !== undefined && ranOutOfMemory(last);
  const how = last === undefined ? "" : ` Its last Pod ${nameOfPod(last)}: ${podEnding(last) ?? ""}.`;
  return new Fault({
    code: "job-failed",
    ...(isMemory ? { property: "kubernetes.memory" } : {}),
    message: `The cluster gave up run ${run}: ${failure}.${how}`,
    next: isMemory
      ? "Give its Pods more memory (kubernetes.memory), and run this again: it goes on from its last checkpoint."
      : "`npx tuneup logs` says what it did last; `npx tuneup up` goes on from its last checkpoint.",
    blame: isMemory ? "user" : "infrastructure",
  });
}

function suspended(run: string): Fault {
  return new Fault({
    code: "run-stopped",
    message: `Run ${run} was stopped.`,
    next: "`npx tuneup up` goes on from its last checkpoint.",
  });
}

/**
 * Lets a run's trainer save and end, and keeps the cluster from starting another. Returns when no Pod of it is left; the agent then writes
 * what became of it. Throws Fault `pod-stuck` where a Pod does not end.
 */
export async function stopPodRun(
  place: RunPlace,
  run: string,
  options: CommandOptions,
): Promise<CommandOutput<"run-stop">> {
  const { cluster, timing } = place;
  const insisting = <T>(work: () => Promise<T>): Promise<T> => insist(cluster, timing, options, work);
  await insisting(async () => {
    const training = await findTraining(cluster, run);
    if (training !== undefined && !training.isOver) await training.suspend(true);
  });
  const asked = performance.now();
  for (let told = false; ; told = true) {
    const pods = await insisting(() => podsWith(cluster, { [runLabel]: run, [roleLabel]: "trainer" }));
    const [left] = pods.filter(({ status }) => status?.phase === "Pending" || status?.phase === "Running");
    if (left === undefined) break;
    if (!told) options.onProgress?.({ message: "stopping: the trainer saves a checkpoint first" });
    if (performance.now() - asked > timing.patience) throw stuck(left);
    await delay(timing.poll, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
  return place.agent.run("run-stop", { run }, options);
}

function stuck(pod: V1Pod): Fault {
  return new Fault({
    code: "pod-stuck",
    message: `Pod ${nameOfPod(pod)} does not end; its node ${pod.spec?.nodeName ?? ""} may be gone.`,
    next: "Bring the node back or delete it from the cluster, then run this again.",
    blame: "infrastructure",
  });
}
