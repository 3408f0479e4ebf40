import { imageNames } from "./images.ts";

/** What a Pod of the tests has beside its command. */
export interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** Name of a claim, at /data. */
  readonly claim?: string;
  /** How many nvidia.com/gpu. */
  readonly gpus?: number;
  /** Port that it listens on once it is ready. */
  readonly port?: number;
}

/** A Pod of the Python image that the Restricted Pod Security Standard admits. Its container is `main`. */
export function pod(name: string, command: readonly string[], { labels = {}, claim, gpus, port }: PodOptions = {}) {
  const volumes = [{ name: "tmp", emptyDir: {} }, ...(claim === undefined ? [] : [claimVolume(claim)])];
  const mounts = [
    { name: "tmp", mountPath: "/tmp" },
    ...(claim === undefined ? [] : [{ name: "data", mountPath: "/data" }]),
  ];
  const limits = { memory: "256Mi", cpu: "1", ...(gpus === undefined ? {} : { "nvidia.com/gpu": gpus }) };
  const container = {
    ...{ name: "main", image: imageNames.python, command, volumeMounts: mounts },
    ...(port === undefined ? {} : { readinessProbe: { tcpSocket: { port }, periodSeconds: 1 } }),
    // What is wanted is little: many run side by side.
    resources: { requests: { memory: "16Mi", cpu: "10m" }, limits },
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
  };
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, labels } },
    spec: {
      ...{ restartPolicy: "Never", terminationGracePeriodSeconds: 1, automountServiceAccountToken: false, volumes },
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
      containers: [container],
    },
  };
}

const claimVolume = (claimName: string) => ({ name: "data", persistentVolumeClaim: { claimName } });

/** The command of a web server on port 8000. */
export const server = ["python3", "-m", "http.server", "--directory", "/tmp", "8000"] as const;

/** A claim of the default class. */
export const claim = (name: string): object => ({
  ...{ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name } },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
});

/** A NetworkPolicy for the Pods with `labels`, in the directions that `rules` has. */
export const policy = (
  name: string,
  matchLabels: Readonly<Record<string, string>>,
  rules: { readonly ingress?: readonly object[]; readonly egress?: readonly object[] },
): object => ({
  ...{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name } },
  spec: {
    podSelector: { matchLabels },
    policyTypes: [...("ingress" in rules ? ["Ingress"] : []), ...("egress" in rules ? ["Egress"] : [])],
    ...rules,
  },
});

const trainer = "trainer.kubeflow.org/v1alpha1";

/** A TrainingRuntime of two nodes. */
export const trainingRuntime = (name: string): object => {
  const { spec } = pod("node", ["python3", "-c", "print('trained')"]);
  const containers = spec.containers.map((container) => ({ ...container, name: "node" }));
  const labels = { "trainer.kubeflow.org/trainjob-ancestor-step": "trainer" };
  const job = { metadata: { labels }, spec: { template: { spec: { ...spec, containers } } } };
  return {
    ...{ apiVersion: trainer, kind: "TrainingRuntime", metadata: { name } },
    spec: {
      mlPolicy: { numNodes: 2, torch: { numProcPerNode: 1 } },
      template: { spec: { replicatedJobs: [{ name: "node", template: job }] } },
    },
  };
};

/** A TrainJob of a runtime. */
export const trainJob = (name: string, runtime: string): object => ({
  ...{ apiVersion: trainer, kind: "TrainJob", metadata: { name } },
  spec: { runtimeRef: { kind: "TrainingRuntime", apiGroup: "trainer.kubeflow.org", name: runtime } },
});
