import { z } from "zod";
import { flag, whole } from "../config-scalars.ts";
import { toleration } from "../host.ts";

const label = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, { error: "must be a name of lower-case letters, digits and -" });

const domain = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, { error: "must be a domain name" });

/** An amount as Kubernetes writes it, e.g. `500m`, `16Gi`; a number is one without a unit. */
const quantity = z.preprocess(
  (value) => (typeof value === "number" ? String(value) : value),
  z
    .string()
    .regex(/^\d+(\.\d+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/, { error: "must be an amount such as 4, 500m or 16Gi" })
    // Editors take what is taken.
    .meta({ type: ["string", "number"] }),
);

/** Two equal digests of this image were found in unrelated public projects; it has bash, Python and nothing of ours. */
const standardImage =
  "python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254";

const volume = z.strictObject({
  claim: label
    .default("tuneup-data")
    .describe("Name of the PersistentVolumeClaim; experiments with the same share it."),
  size: quantity.default("100Gi").describe("What it asks for. It can grow later where its class allows that."),
  storageClassName: domain.optional().describe("StorageClass. Default: the cluster's default class."),
  accessMode: z
    .enum(["ReadWriteOnce", "ReadWriteMany"])
    .default("ReadWriteOnce")
    .describe("ReadWriteOnce keeps all Pods that mount it on one node; several nodes need ReadWriteMany."),
});

const ingress = z.strictObject({
  host: domain.describe("Name under which it is reached."),
  tlsSecretName: domain.describe("Secret with the certificate and its key; without TLS nothing leaves the cluster."),
  className: domain.optional().describe("IngressClass. Default: the cluster's default class."),
  namespace: label.describe("Namespace of the ingress controller's Pods: the NetworkPolicy lets them in."),
});

const route = z.strictObject({
  host: domain.describe("Name under which it is reached."),
  gateway: domain.describe("Name of a Gateway (Gateway API) whose listener ends TLS."),
  namespace: label.describe("Namespace of that Gateway and of its Pods: the NetworkPolicy lets them in."),
});

const endpoint = z.strictObject({
  replicas: whole(z.int().positive()).default(1).describe("Pods that serve; each takes the GPUs that serving needs."),
  maxReplicas: whole(z.int().positive())
    .optional()
    .describe("More Pods up to this many while requests wait. Default: never more than `replicas`."),
  waitingRequests: whole(z.int().positive())
    .default(4)
    .describe("Requests that wait in one Pod, on average, from which another Pod is started."),
  autoscaler: z
    .enum(["hpa", "keda"])
    .default("hpa")
    .describe(
      "Who follows what waits, with `maxReplicas`: `hpa` takes it from the custom metrics API (Prometheus with its adapter); `keda` asks the Pods themselves, by KEDA 2.20 or newer.",
    ),
  kedaNamespace: label.default("keda").describe("Namespace of KEDA's operator: the NetworkPolicy lets it in."),
  strategy: z
    .enum(["RollingUpdate", "Recreate"])
    .default("RollingUpdate")
    .describe("RollingUpdate needs room for one more Pod while it changes; Recreate answers nothing meanwhile."),
  ingress: ingress.optional().describe("Reach it from outside by an Ingress. Default: by port-forward alone."),
  route: route
    .optional()
    .describe("Reach it from outside by an HTTPRoute of the Gateway API. Default: by port-forward alone."),
  allowFrom: z
    .array(label)
    .default([])
    .describe("Namespaces whose Pods may ask it. Default: none but those of `ingress` and `route`."),
});

/** `tuneup:kubernetes`: what the target kubernetes needs to know of a cluster. */
export const kubernetes = z.strictObject({
  context: z.string().min(1).optional().describe("Context of the kubeconfig. Default: its current one."),
  namespace: label.default("tuneup").describe("Where everything of the experiment is."),
  createNamespace: flag.default(true).describe("false: the namespace is there already, and stays when this goes."),
  image: z
    .string()
    .regex(/^[\w.\-/:]+@sha256:[0-9a-f]{64}$/, { error: "must be pinned by digest: NAME@sha256:…" })
    .default(standardImage)
    .describe("Image of all Pods: one that `npm run image` built, or any with bash and Python 3.11 to 3.13."),
  imagePullSecrets: z.array(domain).default([]).describe("Secrets of the namespace that the image is pulled with."),
  volume: volume.prefault({}).describe("The data directory; `destroy` keeps it."),
  gpuResource: z.string().min(1).default("nvidia.com/gpu").describe("What the device plugin calls a GPU."),
  cpu: quantity.default("4").describe("Most CPUs that a Pod that trains or serves takes."),
  cpuRequest: quantity
    .optional()
    .describe("CPUs of them that a node must have free for it. Default: all. Less lets Pods share what is idle."),
  memory: quantity.default("16Gi").describe("Memory of a Pod that trains or serves; more than that ends it."),
  sharedMemory: quantity.default("2Gi").describe("/dev/shm, in that memory, for workers that load data and for NCCL."),
  nodeSelector: z.record(z.string(), z.string()).default({}).describe("Labels that a node must have."),
  tolerations: z.array(toleration).default([]).describe("As in a Pod."),
  priorityClassName: domain.optional().describe("As in a Pod. Default: none."),
  runtimeClassName: domain.optional().describe("As in a Pod, such as nvidia. Default: the cluster's."),
  queueName: domain.optional().describe("LocalQueue of Kueue that the training waits in. Default: none."),
  graceSeconds: whole(z.int().min(30).max(3600))
    .default(300)
    .describe("A trainer that is told to end may take so long for its step and its checkpoint."),
  endpoint: endpoint.prefault({}).describe("How the chat endpoint runs there."),
});
export type KubernetesConfig = z.output<typeof kubernetes>;

const factors: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** An amount as a number: bytes for memory and volumes, CPUs for `cpu`. NaN for what is no amount. */
export function amountOf(text: string): number {
  const [, digits = "", suffix = ""] = /^(\d+(?:\.\d+)?)(\w*)$/.exec(text) ?? [];
  return Number(digits === "" ? NaN : digits) * (suffix === "" ? 1 : (factors[suffix] ?? NaN));
}
