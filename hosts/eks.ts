import { asFault, Fault } from "../recipe/fault.ts";
import { kubeconfigOf } from "../recipe/eks/kubeconfig.ts";
import type { KubernetesHostSpec } from "../recipe/host.ts";
import type { CommandInput, CommandName, CommandOutput } from "../recipe/protocol.ts";
import { describeCluster, describeNodes, type EksCluster, type EksNodes, scaleToNone } from "./eks-calls.ts";
import type { CommandOptions, Freight, Host, Tunnel } from "./host.ts";
import { Cluster } from "./kubernetes-cluster.ts";
import { type KubernetesHost, reachOn } from "./kubernetes.ts";

/** A spec that names a cluster of EKS. */
export type EksHostSpec = KubernetesHostSpec & { readonly eks: NonNullable<KubernetesHostSpec["eks"]> };

/**
 * A namespace of a cluster of EKS, which is found by its name. It comes and goes with its stack, and its nodes with their lease: nothing is asked of
 * AWS before the first command, and a command throws Fault `machine-none` or `machine-ended` where nothing can compute.
 */
export class EksHost implements Host {
  readonly description: string;
  readonly dataDirectory: string;
  readonly isHere = false;
  readonly #spec: EksHostSpec;
  #reached: Promise<KubernetesHost> | undefined;

  /** `openEks` is how one is had. */
  constructor(spec: EksHostSpec) {
    this.#spec = spec;
    this.description = `${spec.eks.name} in ${spec.eks.region}`;
    this.dataDirectory = spec.dataDirectory;
  }

  /** Is there a node that Pods can be on, or a cluster whose nodes are others' concern? Throws the Faults of aws-faults.ts. */
  async isUp(): Promise<boolean> {
    return (await this.whyDown()) === undefined;
  }

  /** Why nothing can be asked now; undefined where it can. Throws the Faults of aws-faults.ts. */
  async whyDown(): Promise<Fault | undefined> {
    const { eks } = this.#spec;
    const cluster = await describeCluster(eks);
    if (cluster?.status !== "ACTIVE" && cluster?.status !== "UPDATING") return noCluster(this.#spec, cluster);
    if (eks.nodes === undefined) return undefined;
    return whyNodesDown(this.#spec, await describeNodes(eks, eks.nodes.group));
  }

  async run<N extends CommandName>(
    command: N,
    input: Omit<CommandInput<N>, "dataDirectory">,
    options?: CommandOptions,
  ): Promise<CommandOutput<N>> {
    return this.#asked((host) => host.run(command, input, options));
  }

  async put(path: string, options?: CommandOptions): Promise<string> {
    return this.#asked((host) => host.put(path, options));
  }

  async push(freight: Freight, options?: CommandOptions): Promise<void> {
    return this.#asked((host) => host.push(freight, options));
  }

  async fetch(freight: Freight, options?: CommandOptions): Promise<void> {
    return this.#asked((host) => host.fetch(freight, options));
  }

  async tunnel(port: number, experiment?: string): Promise<Tunnel> {
    return this.#asked((host) => host.tunnel(port, experiment));
  }

  /** Ends the nodes where they have nothing more to do (`endWithRun`): no lease is paid to its end for a run that is over. */
  async noteSafe(): Promise<void> {
    const { eks } = this.#spec;
    if (eks.nodes?.endWithRun === true) await scaleToNone(eks, eks.nodes.group);
  }

  async close(): Promise<void> {
    const reached = this.#reached;
    this.#reached = undefined;
    const host = await reached?.catch(() => undefined);
    await host?.close();
  }

  /** What failed because its nodes ended meanwhile, such as at the end of their lease, is told so. */
  async #asked<T>(work: (host: KubernetesHost) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#host());
    } catch (thrown) {
      const fault = asFault(thrown);
      if (!maybeGone.has(fault.code)) throw thrown;
      const down = await this.whyDown().catch(() => undefined);
      if (down !== undefined) await this.close();
      throw down ?? (fault.code === "cluster-unreachable" ? unreachable(fault, this.#spec) : thrown);
    }
  }

  /** Once for all commands; what failed is tried again by the next one. */
  #host(): Promise<KubernetesHost> {
    const reached = (this.#reached ??= this.#reach());
    reached.catch(() => {
      if (this.#reached === reached) this.#reached = undefined;
    });
    return reached;
  }

  async #reach(): Promise<KubernetesHost> {
    const down = await this.whyDown();
    if (down !== undefined) throw down;
    return reachOn(await eksCluster(this.#spec), this.#spec);
  }
}

/** What a command fails with where its nodes, or the way to them, are gone. */
const maybeGone: ReadonlySet<string> = new Set([
  "cluster-unreachable",
  "pod-lost",
  "pod-missing",
  "pod-stuck",
  "pod-unschedulable",
]);

/** The cluster is there, and its API does not answer: to an address that is not let in it never does. */
function unreachable(fault: Fault, { eks: { region, name, nodes } }: EksHostSpec): Fault {
  if (nodes === undefined) return fault;
  const opens = `aws eks update-cluster-config --region ${region} --name ${name} --resources-vpc-config publicAccessCidrs=ADDRESS/32`;
  return new Fault(
    {
      ...{ ...fault.toFacts(), property: "eks.allowedCidrs" },
      next: `It answers those of eks.allowedCidrs alone: where this machine's address is another one now, \`${opens}\` lets it in (with \`endpoint: public\`; name all that are to be let in, parted by commas); say the same in eks.allowedCidrs. What runs there is not touched.`,
    },
    { cause: fault },
  );
}

/** The API of a cluster of EKS. Throws Fault `machine-none` where there is none, and those of the calls. */
export async function eksCluster(spec: EksHostSpec): Promise<Cluster> {
  const cluster = await describeCluster(spec.eks);
  if (cluster?.access === undefined) throw noCluster(spec, cluster);
  return Cluster.load(spec, kubeconfigOf(cluster.access));
}

function noCluster({ eks: { name, region, nodes } }: EksHostSpec, cluster: EksCluster | undefined): Fault {
  if (cluster?.status === "CREATING" || cluster?.status === "PENDING")
    return starts(`The cluster ${name} in ${region}`);
  const found = cluster === undefined ? "There is no cluster" : `${cluster.status} is the state of the cluster`;
  return new Fault({
    code: "machine-none",
    property: "eks.name",
    message: `${found} ${name} in ${region}.`,
    next:
      nodes === undefined
        ? `Name one that is there (\`aws eks list-clusters --region ${region}\`), or take \`eks.name\` out to have one made.`
        : `\`npx tuneup up ${nodes.stack}\` makes it.`,
    blame: "infrastructure",
  });
}

function whyNodesDown({ eks: { name, region, nodes } }: EksHostSpec, found: EksNodes | undefined): Fault | undefined {
  const stack = nodes?.stack ?? "";
  if (found === undefined) {
    return new Fault({
      code: "machine-none",
      message: `The cluster ${name} in ${region} has no nodes yet.`,
      next: `\`npx tuneup up ${stack}\` makes them.`,
      blame: "infrastructure",
    });
  }
  if (found.wanted > 0) return found.status === "CREATING" ? starts(`A node of ${name} in ${region}`) : undefined;
  const isOver = new Date(found.expiry ?? "").getTime() <= Date.now();
  const why = isOver ? `their lease was over at ${found.expiry ?? ""}` : "their group is scaled to none";
  return new Fault({
    code: "machine-ended",
    message: `The nodes of ${name} in ${region} ended: ${why}.`,
    next: `The data volume is kept; \`npx tuneup up ${stack}\` starts a node again where something is left to train or to serve.`,
    blame: "infrastructure",
  });
}

function starts(what: string): Fault {
  return new Fault({
    code: "machine-starting",
    message: `${what} starts.`,
    next: "Ask again in a minute.",
    blame: "infrastructure",
  });
}

const opened = new Map<string, EksHost>();

/** The namespace of a cluster, once for all that ask in this process. Nothing is asked of AWS before the first command. */
export function openEks(spec: EksHostSpec): EksHost {
  const { AWS_ENDPOINT_URL: endpoint, AWS_PROFILE: profile } = process.env;
  const key = JSON.stringify([spec, endpoint, profile]);
  const host = opened.get(key) ?? new EksHost(spec);
  opened.set(key, host);
  return host;
}
