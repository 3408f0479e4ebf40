import { setTimeout as delay } from "node:timers/promises";
import type { V1Pod } from "@kubernetes/client-node";
import { Fault } from "../recipe/fault.ts";
import type { KubernetesHostSpec } from "../recipe/host.ts";
import { experimentLabel, roleLabel, volumeLabel } from "../recipe/kubernetes/labels.ts";
import type { CommandInput, CommandName, CommandOutput } from "../recipe/protocol.ts";
import type { CommandOptions, Host, Tunnel } from "./host.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { insist } from "./kubernetes-insist.ts";
import { PodLink } from "./kubernetes-link.ts";
import { livePod, nameOfPod, podsWith, troubleOf } from "./kubernetes-pods.ts";
import { podEnding, PodPatience, podRestarts, type Trouble } from "./kubernetes-reasons.ts";
import type { KubernetesTiming } from "./kubernetes-timing.ts";
import { openPodTunnel } from "./kubernetes-tunnel.ts";
import { RemoteHost } from "./remote-host.ts";

const noPod = "endpoint-no-pod";

/** The Pods that serve an experiment: what a gateway knows, it knows in its own Pod. */
export class EndpointPods {
  readonly #cluster: Cluster;
  readonly #timing: KubernetesTiming;
  readonly #claim: string;
  readonly #experiment: string | undefined;
  readonly #host: RemoteHost;

  /** No experiment: any that uses the volume. */
  constructor(cluster: Cluster, spec: KubernetesHostSpec, timing: KubernetesTiming, experiment: string | undefined) {
    this.#cluster = cluster;
    this.#timing = timing;
    this.#claim = spec.claim;
    this.#experiment = experiment;
    const source = { pod: () => this.#live(), tunnel: (port: number) => this.tunnel(port) };
    this.#host = new RemoteHost(new PodLink(cluster, spec, timing, source), spec.dataDirectory);
  }

  /** Runs a command in a Pod that serves, and in `elsewhere` (which sees the volume) where none runs. */
  async run<N extends CommandName>(
    command: N,
    input: Omit<CommandInput<N>, "dataDirectory">,
    options: CommandOptions,
    elsewhere: Pick<Host, "run">,
  ): Promise<CommandOutput<N>> {
    return unlessNoPod(
      () => this.#host.run(command, input, options),
      () => elsewhere.run(command, input, options),
    );
  }

  /** Follows until every model is ready or failed; while no Pod runs, why. Throws the Faults of PodPatience.bear. */
  async wait(options: CommandOptions): Promise<CommandOutput<"endpoint-wait">> {
    const patience = new PodPatience(this.#timing);
    const experiment = this.#experiment ?? "";
    let shown: string | undefined;
    for (;;) {
      const facts = await unlessNoPod(
        () => this.#host.run("endpoint-wait", { experiment }, options),
        () => Promise.resolve(undefined),
      );
      if (facts !== undefined) return facts;
      const [trouble, why] = await insist(this.#cluster, this.#timing, options, () => this.#troubles());
      const line = patience.bear("the endpoint", trouble) ?? why;
      if (line !== shown) options.onProgress?.({ message: line });
      shown = line;
      await delay(this.#timing.poll, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }

  /** Why no Pod of it serves, in words. */
  async why(): Promise<string> {
    return (await this.#troubles())[1];
  }

  async #troubles(): Promise<readonly [Trouble | undefined, string]> {
    const [newest] = await this.#pods();
    if (newest === undefined) return [undefined, "no Pod of the endpoint is there"];
    const pod = `Pod ${nameOfPod(newest)}`;
    const trouble = await troubleOf(this.#cluster, newest, this.#claim);
    if (trouble !== undefined) return [trouble, `${pod} does not run: ${trouble.message}`];
    const ending = podRestarts(newest) ?? podEnding(newest);
    return [undefined, ending === undefined ? `${pod} starts` : `${pod}: ${ending}`];
  }

  async tunnel(port: number): Promise<Tunnel> {
    await this.#live();
    return openPodTunnel(this.#cluster, port, () => this.#live());
  }

  #pods(): Promise<V1Pod[]> {
    const whose = this.#experiment === undefined ? {} : { [experimentLabel]: this.#experiment };
    return podsWith(this.#cluster, { [roleLabel]: "endpoint", [volumeLabel]: this.#claim, ...whose });
  }

  async #live(): Promise<string> {
    const pod = livePod(await this.#pods());
    if (pod !== undefined) return nameOfPod(pod);
    throw new Fault({
      code: noPod,
      message: `The endpoint can't be reached: ${await this.why()}.`,
      next: "`npx tuneup status` shows what it waits for; `npx tuneup up` makes its Pods where they are gone.",
      blame: "infrastructure",
    });
  }
}

async function unlessNoPod<T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === noPod) return otherwise();
    throw thrown;
  }
}
