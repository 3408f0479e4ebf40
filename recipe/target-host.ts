import { type AwsConfig, awsConfig } from "./aws/config.ts";
import { withoutUndefined } from "./defined.ts";
import { onOwnCluster } from "./eks/cluster-config.ts";
import { type EksConfig, makesCluster } from "./eks/config.ts";
import { clusterName, nodeGroupName } from "./eks/names.ts";
import type { Experiment } from "./experiment.ts";
import { homeOf } from "./home.ts";
import type { AwsHostSpec, HostSpec, KubernetesHostSpec } from "./host.ts";
import { amountOf, type KubernetesConfig } from "./kubernetes/config.ts";
import { isScaledByKeda } from "./kubernetes/keda.ts";
import { dataMount } from "./kubernetes/pod.ts";

/** Data directory on an ssh host where the experiment names none: the XDG default of the user there. */
const sshDataDirectory = "~/.local/share/tuneup";

type Asked = Pick<Experiment, "target"> & {
  readonly compute: Partial<
    Pick<Experiment["compute"], "host" | "user" | "port" | "identity" | "jump" | "offline" | "nodes">
  >;
  readonly storage: Experiment["storage"];
  readonly kubernetes: KubernetesConfig;
  readonly aws?: AwsConfig | undefined;
  readonly eks?: EksConfig | undefined;
  readonly teardown?: Pick<Experiment["teardown"], "when"> | undefined;
};

/** The host of an experiment that `readRunnableExperiment` let through. `environment`: this machine's variables; `stack`: the experiment's name. */
export function hostSpecOf(
  { target, compute, storage, kubernetes, aws, eks, teardown }: Asked,
  environment: Readonly<Record<string, string | undefined>>,
  stack: string,
): HostSpec {
  if (target === "aws") return machineHost(awsConfig(aws), compute, stack);
  if (target === "kubernetes") return clusterHost(kubernetes, compute);
  if (target === "eks" && eks !== undefined) return eksHost(eks, { kubernetes, compute, teardown }, stack);
  if (target !== "ssh") return { kind: "local", dataDirectory: storage.dataDirectory ?? homeOf(environment) };
  const { host = "", user, port, identity, jump, offline } = compute;
  return withoutUndefined({
    kind: "ssh" as const,
    dataDirectory: storage.dataDirectory ?? sshDataDirectory,
    address: host,
    ...{ user, port, identity, jump },
    // False is what a state without it says.
    offline: offline === true ? offline : undefined,
  });
}

/** Where the data volume is mounted on a machine for aws. */
const volumeMount = "/var/lib/tuneup";

function machineHost(
  { region, vpc, egress, spot }: AwsConfig,
  { offline }: Asked["compute"],
  stack: string,
): AwsHostSpec {
  const closed = vpc === "own" && egress === "none";
  return withoutUndefined({
    kind: "aws" as const,
    dataDirectory: volumeMount,
    ...{ region, stack },
    spot: spot || undefined,
    offline: closed || offline === true ? true : undefined,
  });
}

/** What a Pod that prepares may take: installing and converting need no more, whatever the training takes. */
const agentCpu = "2";
const agentMemory = "4Gi";

/** A cluster of EKS, found by its name: that of the file, or the one that the stack makes. */
function eksHost(
  eks: EksConfig,
  { kubernetes, compute, teardown }: Pick<Asked, "kubernetes" | "compute" | "teardown">,
  stack: string,
): KubernetesHostSpec {
  const { region, name = clusterName(stack) } = eks;
  if (!makesCluster(eks)) return { ...clusterHost(kubernetes, compute), eks: { region, name } };
  const ends = teardown?.when === "after-training" ? { endWithRun: true } : {};
  const nodes = { group: nodeGroupName, stack, ...ends };
  return { ...clusterHost(onOwnCluster(kubernetes), compute), eks: { region, name, nodes } };
}

function clusterHost(config: KubernetesConfig, { offline, nodes = 1 }: Asked["compute"]): KubernetesHostSpec {
  const { context, namespace, volume, image, imagePullSecrets, nodeSelector, tolerations, gpuResource } = config;
  return withoutUndefined({
    kind: "kubernetes" as const,
    dataDirectory: dataMount,
    ...{ namespace, context, image, gpuResource },
    claim: volume.claim,
    claimBytes: amountOf(volume.size),
    storageClassName: volume.storageClassName,
    imagePullSecrets: imagePullSecrets.length === 0 ? undefined : imagePullSecrets,
    nodeSelector: Object.keys(nodeSelector).length === 0 ? undefined : nodeSelector,
    tolerations: tolerations.length === 0 ? undefined : tolerations,
    machines: nodes > 1 ? nodes : undefined,
    keda: isScaledByKeda(config) ? true : undefined,
    shareNode: volume.accessMode === "ReadWriteOnce",
    cpu: agentCpu,
    memory: agentMemory,
    offline: offline === true ? true : undefined,
  });
}
