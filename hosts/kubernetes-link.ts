import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { Fault } from "../recipe/fault.ts";
import type { KubernetesHostSpec } from "../recipe/host.ts";
import type { CommandOptions, Tunnel } from "./host.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { PodCommand } from "./kubernetes-exec.ts";
import { isPassing, podLost } from "./kubernetes-faults.ts";
import { isRunning, podEnding, ranOutOfMemory } from "./kubernetes-reasons.ts";
import type { KubernetesTiming } from "./kubernetes-timing.ts";
import type { RemoteLink } from "./remote-link.ts";

/** The kubelet may need so long to say that a container ended. */
const endingLooks = 5;
const endingMs = 1000;

/** Which Pod commands go to, and how a port of it is reached. */
export interface PodSource {
  /** Name of one that runs. Throws Fault where there is none and none can be had. */
  pod(options: CommandOptions): Promise<string>;
  tunnel(port: number): Promise<Tunnel>;
}

/** The way to a Pod by the API server: commands are exec'ed in it. Each `open` may choose another one. */
export class PodLink implements RemoteLink {
  readonly description: string;
  readonly property = "kubernetes.image";
  readonly dataDirectory: string;
  readonly offline: boolean;
  readonly nodeAdvice =
    "Name an image that has Node 24 (kubernetes.image; `npm run image` builds one), or let the Pods reach PyPI.";
  readonly patience: number;
  readonly #cluster: Cluster;
  readonly #timing: KubernetesTiming;
  readonly #source: PodSource;
  readonly #pods = new WeakMap<object, string>();
  #pod: string | undefined;

  constructor(cluster: Cluster, spec: KubernetesHostSpec, timing: KubernetesTiming, source: PodSource) {
    this.description = `${cluster.where.context}/${cluster.where.namespace}`;
    this.dataDirectory = spec.dataDirectory;
    this.offline = spec.offline === true;
    this.patience = timing.patience;
    this.#cluster = cluster;
    this.#timing = timing;
    this.#source = source;
  }

  async open(options: CommandOptions = {}): Promise<void> {
    this.#pod = await this.#source.pod(options);
  }

  start(words: readonly string[]): PodCommand {
    const pod = this.#pod;
    if (pod === undefined) throw new Error("The link is not open.");
    const { aliveSeconds } = this.#timing;
    const command = new PodCommand(this.#cluster, pod, words, { aliveSeconds, hasEnded: () => this.#hasEnded(pod) });
    this.#pods.set(command, pod);
    return command;
  }

  async script(script: string): Promise<string> {
    const command = this.start(["bash", "-s"]);
    const closed = once(command, "close") as Promise<[number | null]>;
    command.stdin.end(script);
    const [[code], stdout, stderr] = await Promise.all([closed, text(command.stdout), text(command.stderr)]);
    if (this.isLost(code)) throw await this.fault(stderr, command);
    // A shell that could not be started, or that a connection which broke gave half of the script.
    if (!stdout.includes("tuneup end")) throw noShell(stderr || `exit code ${String(code)}`);
    return stdout;
  }

  isLost(code: number | null): boolean {
    return code === null;
  }

  isPassing(fault: Fault): boolean {
    return isPassing(fault);
  }

  /** What refused the command, else what became of its Pod, else what the connection said. */
  async fault(said: string, command?: object): Promise<Fault> {
    if (command instanceof PodCommand && command.fault !== undefined) return command.fault;
    const words = said.trim().split("\n").at(-1) ?? "";
    const name = command === undefined ? this.#pod : this.#pods.get(command);
    if (/executable file not found|no such file or directory/.test(words)) return noShell(words);
    const pod = name === undefined ? undefined : await this.#read(name).catch((thrown: unknown) => thrown as Fault);
    if (pod instanceof Fault) return pod;
    if (name === undefined) return podLost(`The Pod on ${this.description} is lost: ${words}.`);
    if (pod === undefined) return podLost(`Pod ${name} on ${this.description} is gone.`);
    if (ranOutOfMemory(pod)) return outOfMemory(name);
    const ending = podEnding(pod);
    if (ending !== undefined) return podLost(`Pod ${name} on ${this.description} ended: ${ending}.`);
    return podLost(`The connection to Pod ${name} on ${this.description} is lost: ${words || "no reason given"}.`);
  }

  tunnel(port: number): Promise<Tunnel> {
    return this.#source.tunnel(port);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #hasEnded(pod: string): Promise<boolean> {
    for (let look = 0; look < endingLooks; look += 1) {
      const found = await this.#read(pod);
      if (found === undefined || !isRunning(found)) return true;
      await delay(endingMs);
    }
    return false;
  }

  #read(name: string) {
    const { namespace } = this.#cluster.where;
    return this.#cluster.find(this.#cluster.core.readNamespacedPod({ name, namespace }));
  }
}

function noShell(said: string): Fault {
  return new Fault({
    code: "image-unfit",
    property: "kubernetes.image",
    message: `bash does not run in the Pod: ${said.trim()}`,
    next: "Name an image that has bash and Python 3.11 to 3.13.",
  });
}

function outOfMemory(pod: string): Fault {
  return new Fault({
    code: "pod-out-of-memory",
    property: "kubernetes.memory",
    message: `Pod ${pod} took more memory than its limit, and the cluster ended it (OOMKilled).`,
    next: "Give it more (kubernetes.memory), and run this again.",
  });
}
