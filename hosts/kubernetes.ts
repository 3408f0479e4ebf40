import type { V1PersistentVolumeClaim } from "@kubernetes/client-node";
import { Fault } from "../recipe/fault.ts";
import type { KubernetesHostSpec } from "../recipe/host.ts";
import type { CommandInput, CommandName, CommandOutput } from "../recipe/protocol.ts";
import type { CommandOptions, Freight, Host, Tunnel } from "./host.ts";
import { AgentPod } from "./kubernetes-agent-pod.ts";
import { Cluster } from "./kubernetes-cluster.ts";
import { EndpointPods } from "./kubernetes-endpoint.ts";
import { onVolume } from "./kubernetes-faults.ts";
import { insist } from "./kubernetes-insist.ts";
import { PodLink } from "./kubernetes-link.ts";
import { stopPodRun, waitForPodRun } from "./kubernetes-run.ts";
import { surveyCluster } from "./kubernetes-survey.ts";
import { kubernetesTiming, type KubernetesTiming } from "./kubernetes-timing.ts";
import { resumeTraining } from "./kubernetes-training.ts";
import { RemoteHost } from "./remote-host.ts";

type Special = {
  readonly [N in CommandName]?: (
    input: Omit<CommandInput<N>, "dataDirectory">,
    options: CommandOptions,
  ) => Promise<CommandOutput<N>>;
};

/** What is said of a volume that is not there: nothing is on it, and nothing of it computes. */
const nothing: { readonly [N in CommandName]?: CommandOutput<N> } = {
  "environment-read": null,
  "weights-read": null,
  "dataset-read": null,
  "run-read": null,
  "run-list": [],
  "run-stop": { status: null },
  "endpoint-read": null,
  "endpoint-delete": {},
  usage: [],
  purge: [],
};

/** Commands after which nothing of ours is to be left on the cluster when the host is closed. */
const leaving: readonly CommandName[] = ["run-stop", "endpoint-delete", "purge"];

/**
 * A namespace of a cluster. Commands run in a Pod that is made for them and mounts the volume; those about a gateway in its own Pod; a
 * training is stopped and followed by its Job. Nothing there depends on this process or its connection.
 */
export class KubernetesHost implements Host {
  readonly description: string;
  readonly dataDirectory: string;
  readonly isHere = false;
  readonly #cluster: Cluster;
  readonly #spec: KubernetesHostSpec;
  readonly #timing: KubernetesTiming;
  readonly #agentPod: AgentPod;
  readonly #agent: RemoteHost;
  readonly #endpoints = new Map<string | undefined, EndpointPods>();
  readonly #special: Special;
  #isLeft = false;
  #isClaimed = false;

  /** `openKubernetes` is how one is had. */
  constructor(cluster: Cluster, spec: KubernetesHostSpec, timing: KubernetesTiming) {
    this.#cluster = cluster;
    this.#spec = spec;
    this.#timing = timing;
    this.#agentPod = new AgentPod(cluster, spec, timing);
    const source = {
      pod: (options: CommandOptions) => this.#agentPod.ensure(options),
      tunnel: (port: number) => this.tunnel(port),
    };
    const link = new PodLink(cluster, spec, timing, source);
    this.description = link.description;
    this.dataDirectory = spec.dataDirectory;
    this.#agent = new RemoteHost(link, spec.dataDirectory);
    this.#special = this.#specialCommands();
  }

  async run<N extends CommandName>(
    command: N,
    input: Omit<CommandInput<N>, "dataDirectory">,
    options: CommandOptions = {},
  ): Promise<CommandOutput<N>> {
    if (leaving.includes(command)) this.#isLeft = true;
    const special = this.#special[command] as
      | ((input: Omit<CommandInput<N>, "dataDirectory">, options: CommandOptions) => Promise<CommandOutput<N>>)
      | undefined;
    if (command !== "preflight" && !(await this.#hasClaim(options))) {
      if (command in nothing) return nothing[command] as CommandOutput<N>;
      throw this.#claimMissing();
    }
    try {
      return await (special === undefined ? this.#agent.run(command, input, options) : special(input, options));
    } catch (thrown) {
      throw onVolume(thrown);
    }
  }

  put(path: string, options?: CommandOptions): Promise<string> {
    return this.#agent.put(path, options);
  }

  push(freight: Freight, options?: CommandOptions): Promise<void> {
    return this.#agent.push(freight, options);
  }

  fetch(freight: Freight, options?: CommandOptions): Promise<void> {
    return this.#agent.fetch(freight, options);
  }

  tunnel(port: number, experiment?: string): Promise<Tunnel> {
    return this.#endpoint(experiment).tunnel(port);
  }

  /** The Pod for commands ends by itself; after what takes things down it is deleted at once. */
  async close(): Promise<void> {
    if (this.#isLeft) await this.#agentPod.delete();
    this.#isLeft = false;
    await this.#cluster.close();
  }

  #specialCommands(): Special {
    const place = { cluster: this.#cluster, claim: this.#spec.claim, timing: this.#timing, agent: this.#agent };
    return {
      // No Pod for commands has a GPU: it would be kept from the one that trains.
      "environment-ensure": (input, options) =>
        this.#agent.run("environment-ensure", { ...input, elsewhere: true }, options),
      preflight: (input, options) => this.#preflight({ ...input, dataDirectory: this.dataDirectory }, options),
      "run-declare": async ({ spec, ...rest }, options) => {
        const pod = { ...spec, supervisor: "pod" } as const;
        const declared = await this.#agent.run("run-declare", { spec: pod, ...rest }, options);
        if (declared.status.state !== "complete") {
          await insist(this.#cluster, this.#timing, options, () => resumeTraining(this.#cluster, spec.run));
        }
        return declared;
      },
      "run-wait": ({ run }, options) => waitForPodRun(place, run, options),
      "run-stop": ({ run }, options) => stopPodRun(place, run, options),
      "endpoint-declare": ({ spec, ...rest }, options) =>
        this.#agent.run("endpoint-declare", { spec: { ...spec, gateway: "pod" }, ...rest }, options),
      "endpoint-read": (input, options) => this.#readEndpoint(input.experiment, options),
      "endpoint-wait": ({ experiment }, options) => this.#endpoint(experiment).wait(options),
      "endpoint-rotate-key": (input, options) =>
        this.#endpoint(input.experiment).run("endpoint-rotate-key", input, options, this.#agent),
      logs: (input, options) =>
        input.of === "endpoint"
          ? this.#endpoint(input.experiment).run("logs", input, options, this.#agent)
          : this.#agent.run("logs", input, options),
    };
  }

  /** Where no Pod of it runs, what the cluster says of that goes into its detail. */
  async #readEndpoint(experiment: string, options: CommandOptions): Promise<CommandOutput<"endpoint-read">> {
    const endpoint = this.#endpoint(experiment);
    const elsewhere = {
      run: async <N extends CommandName>(command: N, input: Omit<CommandInput<N>, "dataDirectory">) => {
        const facts = await this.#agent.run(command, input, options);
        if (facts === null) return facts;
        const { status, ...rest } = facts as NonNullable<CommandOutput<"endpoint-read">>;
        return { ...rest, status: { ...status, detail: await endpoint.why() } } as CommandOutput<N>;
      },
    };
    return endpoint.run("endpoint-read", { experiment }, options, elsewhere);
  }

  /** By the API alone; where the ways out are asked for, by a Pod, which is the only one that knows them. */
  async #preflight(input: CommandInput<"preflight">, options: CommandOptions): Promise<CommandOutput<"preflight">> {
    const claim = await this.#claim(options);
    const facts = await surveyCluster(this.#cluster, this.#spec, claim, input);
    if (input.egress !== true || claim === undefined) return facts;
    const inside = await this.#agent.run("preflight", input, options);
    const { egress, libc, clockAheadSeconds, python, environment, diskFreeBytes } = inside;
    return { ...facts, egress, libc, clockAheadSeconds, python, environment, diskFreeBytes };
  }

  #endpoint(experiment: string | undefined): EndpointPods {
    const known = this.#endpoints.get(experiment);
    const pods = known ?? new EndpointPods(this.#cluster, this.#spec, this.#timing, experiment);
    this.#endpoints.set(experiment, pods);
    return pods;
  }

  /** Asked until it is there: no command of this process deletes it. */
  async #hasClaim(options: CommandOptions): Promise<boolean> {
    this.#isClaimed ||= (await this.#claim(options)) !== undefined;
    return this.#isClaimed;
  }

  #claim(options: CommandOptions): Promise<V1PersistentVolumeClaim | undefined> {
    return insist(this.#cluster, this.#timing, options, () => findClaim(this.#cluster, this.#spec));
  }

  #claimMissing(): Fault {
    return new Fault({
      code: "claim-missing",
      property: "kubernetes.volume.claim",
      message: `There is no PersistentVolumeClaim ${this.#spec.claim} in namespace ${this.#spec.namespace}.`,
      next: "`npx tuneup up` makes it.",
      blame: "infrastructure",
    });
  }
}

const opened = new Map<string, Promise<KubernetesHost>>();

/** Reaches a namespace of a cluster, once for all that ask in this process. Throws the Faults of kubernetes-faults.ts. Makes nothing there. */
export function openKubernetes(spec: KubernetesHostSpec): Promise<KubernetesHost> {
  const key = JSON.stringify([spec, process.env["KUBECONFIG"]]);
  const host = opened.get(key) ?? reach(spec);
  opened.set(key, host);
  host.catch(() => opened.delete(key));
  return host;
}

async function reach(spec: KubernetesHostSpec): Promise<KubernetesHost> {
  return reachOn(await Cluster.load(spec), spec);
}

/** The same on a cluster that is known already. */
export async function reachOn(cluster: Cluster, spec: KubernetesHostSpec): Promise<KubernetesHost> {
  await findClaim(cluster, spec);
  return new KubernetesHost(cluster, spec, kubernetesTiming(process.env));
}

function findClaim(cluster: Cluster, { claim: name, namespace }: KubernetesHostSpec) {
  return cluster.find(cluster.core.readNamespacedPersistentVolumeClaim({ name, namespace }));
}
