import { z } from "zod";

/** Another machine that OpenSSH reaches. */
export const sshHostSpec = z.object({
  kind: z.literal("ssh"),
  /** Absolute, or `~/...` for a folder of the user's home there. */
  dataDirectory: z.string().regex(/^(\/|~\/)/),
  /** Any name that `ssh <address>` takes. */
  address: z.string().regex(/^[^-\s]\S*$/),
  /** Default of these: what the user's ssh config says. */
  user: z.string().optional(),
  port: z.int().optional(),
  /** Path of the private key on this machine. */
  identity: z.string().optional(),
  /** As `ssh -J` takes it. */
  jump: z.string().optional(),
  /** What the host needs is pushed from this machine, whether it reaches the hubs or not. Default: only where it does not. */
  offline: z.boolean().optional(),
});
export type SshHostSpec = z.infer<typeof sshHostSpec>;

/** A toleration as a Pod has it. */
export const toleration = z.strictObject({
  key: z.string().optional(),
  operator: z.enum(["Exists", "Equal"]).optional(),
  value: z.string().optional(),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
  tolerationSeconds: z.int().optional(),
});
export type Toleration = z.infer<typeof toleration>;

/** A namespace of a cluster: the volume is the data directory, and Pods that mount it are where the agent runs. */
export const kubernetesHostSpec = z.object({
  kind: z.literal("kubernetes"),
  /** Where the volume is mounted in every Pod. */
  dataDirectory: z.string().startsWith("/"),
  namespace: z.string(),
  /** Context of the kubeconfig. Default: the current one. */
  context: z.string().optional(),
  /** Name of the PersistentVolumeClaim. */
  claim: z.string(),
  /** Size that the claim asks for, in bytes. */
  claimBytes: z.number(),
  /** StorageClass of the claim. Default: the cluster's own. */
  storageClassName: z.string().optional(),
  /** Image of the Pods: any with bash and Python, or ours. */
  image: z.string(),
  imagePullSecrets: z.array(z.string()).optional(),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  tolerations: z.array(toleration).optional(),
  /** How many machines train together, where it is more than one: Kubeflow Trainer has to be there. */
  machines: z.number().optional(),
  /** KEDA has to be there: it follows what waits at the endpoint. */
  keda: z.boolean().optional(),
  /** ReadWriteOnce: Pods that mount the volume have to be on one node. */
  shareNode: z.boolean(),
  /** The device plugin's resource, e.g. nvidia.com/gpu. */
  gpuResource: z.string(),
  /** What an agent Pod may take, as Kubernetes writes it, e.g. `2` and `4Gi`. */
  cpu: z.string(),
  memory: z.string(),
  /** The cluster of EKS that it is, found by its name. Default: a context of the kubeconfig. */
  eks: z
    .object({
      region: z.string(),
      name: z.string(),
      /** Of a cluster that a stack made, its nodes: while there is none, nothing runs and nothing is asked. Default: they are others' concern. */
      nodes: z
        .object({
          group: z.string(),
          stack: z.string(),
          /** Do they end as soon as what the run left is safe (`teardown: after-training`)? Default: their lease ends them. */
          endWithRun: z.boolean().optional(),
        })
        .optional(),
    })
    .optional(),
  /** As with aws: no node is wanted. */
  resting: z.boolean().optional(),
  /** As with ssh. */
  offline: z.boolean().optional(),
});
export type KubernetesHostSpec = z.infer<typeof kubernetesHostSpec>;

/** An EC2 machine of a stack, whichever it is at the time: found by its tags, reached by OpenSSH through SSM. */
export const awsHostSpec = z.object({
  kind: z.literal("aws"),
  /** Where the data volume is mounted. */
  dataDirectory: z.string().startsWith("/"),
  region: z.string(),
  /** Value of the tag `tuneup:stack`. */
  stack: z.string(),
  /** No machine is wanted: the run is complete and safe, and nothing is served. What the state holds stays as it is. Default: one is. */
  resting: z.boolean().optional(),
  /** Spot capacity: AWS takes the machine back and gives another by itself, and what a run leaves is in a bucket. Default: on demand. */
  spot: z.boolean().optional(),
  /** As with ssh. */
  offline: z.boolean().optional(),
});
export type AwsHostSpec = z.infer<typeof awsHostSpec>;

/** A machine that the agent runs on, as targets yield it and every resource takes it. */
export const hostSpec = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("local"),
    /** Absolute path of the data directory. */
    dataDirectory: z.string().startsWith("/"),
  }),
  sshHostSpec,
  kubernetesHostSpec,
  awsHostSpec,
]);
export type HostSpec = z.infer<typeof hostSpec>;

/** Is no machine wanted now? */
export function isResting(host: HostSpec): boolean {
  return (host.kind === "aws" || host.kind === "kubernetes") && host.resting === true;
}

/** What makes a host another one: how it is reached (key, jump host, port) may change, and what runs there goes on. */
export function placeOf(host: HostSpec): string {
  const { kind, dataDirectory } = host;
  return JSON.stringify([kind, ...whereOf(host), dataDirectory]);
}

function whereOf(host: HostSpec): readonly string[] {
  if (host.kind === "ssh") return [host.user ?? "", host.address];
  if (host.kind === "aws") return [host.region, host.stack];
  if (host.kind !== "kubernetes") return [];
  const { context = "", eks, namespace, claim } = host;
  return [eks === undefined ? context : `eks ${eks.region} ${eks.name}`, namespace, claim];
}
