import type { KubernetesConfig } from "./config.ts";
import { layoutOf } from "../layout.ts";
import { endpointName, experimentLabel, nameOf, podLabels, roleLabel } from "./labels.ts";
import { agentCommand, dataMount, gatewayPort, podSpec, recordsMount } from "./pod.ts";

/** What the Pods that serve are made from. */
export interface EndpointParts {
  readonly experiment: string;
  readonly config: KubernetesConfig;
  /** GPUs of one Pod; 0 serves on the CPU. */
  readonly gpus: number;
  /** Does the gateway itself speak https? */
  readonly tls: boolean;
  /** Changes where a Pod has to be another one: run, engine, limits, template. */
  readonly revision: string;
}

/** Longest that an answer under way may take when a Pod goes; a Service needs some seconds to stop sending to it. */
const drainSeconds = 60;
const leaveSeconds = 5;

/** An engine loads its weights in so long at most: 70B from a network volume. */
const startSeconds = 1800;

function selector(experiment: string) {
  return { [roleLabel]: "endpoint", [experimentLabel]: experiment };
}

/** The gateway and its engine, as many times as `replicas` says. Alive without an engine, ready with one. */
export function endpointDeployment({ experiment, config, gpus, tls, revision }: EndpointParts) {
  const { volume, endpoint, gpuResource, image, cpu, cpuRequest, memory, sharedMemory } = config;
  const scheme = tls ? ("HTTPS" as const) : ("HTTP" as const);
  const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
    httpGet: { path, port: "http", scheme },
    ...{ periodSeconds, failureThreshold, timeoutSeconds: 10 },
  });
  const words = [
    "serve",
    "--data-directory",
    dataMount,
    "--experiment",
    experiment,
    "--records",
    recordsMount,
    "--grace",
    String(drainSeconds + 10),
  ];
  const metadata = metadataOf(experiment, config);
  const { imagePullSecrets, nodeSelector, tolerations, priorityClassName, runtimeClassName } = config;
  const rolling = { type: "RollingUpdate" as const, rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };
  return {
    metadata,
    spec: {
      // An autoscaler decides it otherwise.
      ...(isScaled(config) ? {} : { replicas: endpoint.replicas }),
      progressDeadlineSeconds: startSeconds,
      revisionHistoryLimit: 2,
      strategy: endpoint.strategy === "Recreate" ? { type: "Recreate" as const } : rolling,
      selector: { matchLabels: selector(experiment) },
      template: {
        metadata: { labels: metadata.labels, annotations: { "tuneup.dev/revision": revision } },
        spec: podSpec({
          image,
          claim: volume.claim,
          command: agentCommand(layoutOf(dataMount).endpoint(experiment).agent, words),
          ...{ cpu, cpuRequest, memory, sharedMemory },
          ...(gpus === 0 ? {} : { devices: { [gpuResource]: gpus } }),
          environment: { TUNEUP_ENDPOINT_RECORDS: recordsMount },
          ...{ imagePullSecrets, nodeSelector, tolerations, priorityClassName, runtimeClassName },
          shareNode: volume.accessMode === "ReadWriteOnce",
          graceSeconds: drainSeconds + leaveSeconds + 15,
          restartPolicy: "Always",
          serviceAccountName: nameOf(experiment),
          container: {
            ports: [{ name: "http", containerPort: gatewayPort }],
            startupProbe: probe("/healthz", 2, 60),
            livenessProbe: probe("/healthz", 10, 6),
            readinessProbe: probe("/readyz", 5, 2),
            lifecycle: { preStop: { sleep: { seconds: leaveSeconds } } },
          },
        }),
      },
    },
  };
}

/** Name, place and labels of what serves. */
export function metadataOf(experiment: string, { namespace, volume }: KubernetesConfig) {
  return {
    name: endpointName(experiment),
    namespace,
    labels: podLabels("endpoint", { claim: volume.claim, experiment }),
  };
}

/** A name for the endpoint's Pods inside the cluster. */
export function endpointService(experiment: string, config: KubernetesConfig) {
  return {
    metadata: metadataOf(experiment, config),
    spec: {
      type: "ClusterIP" as const,
      selector: selector(experiment),
      ports: [{ name: "http", port: gatewayPort, targetPort: "http", protocol: "TCP" as const }],
    },
  };
}

/** One Pod of several stays while nodes are drained; a single one may go, or a node could never be emptied. */
export function endpointDisruptionBudget(experiment: string, config: KubernetesConfig) {
  return {
    metadata: metadataOf(experiment, config),
    spec: { maxUnavailable: 1, selector: { matchLabels: selector(experiment) } },
  };
}

/** Does the number of Pods follow what waits? */
export function isScaled({ endpoint }: KubernetesConfig): boolean {
  return endpoint.maxReplicas !== undefined && endpoint.maxReplicas > endpoint.replicas;
}

/** A model that was loaded in minutes is not let go for a quiet minute. */
export const scaleDownSeconds = 600;

/** Metric of the gateway's /metrics that the autoscaler follows: KEDA asks for it, else an adapter (Prometheus Adapter) gives it, one a Pod. */
export const waitingMetric = "tuneup_queue_length";

/** More Pods while requests wait. It takes the gateway's own metric from the custom metrics API. */
export function endpointAutoscaler(experiment: string, config: KubernetesConfig) {
  const { replicas, maxReplicas = replicas, waitingRequests } = config.endpoint;
  const name = endpointName(experiment);
  return {
    metadata: metadataOf(experiment, config),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      minReplicas: replicas,
      maxReplicas,
      metrics: [
        {
          type: "Pods",
          pods: {
            metric: { name: waitingMetric },
            target: { type: "AverageValue", averageValue: String(waitingRequests) },
          },
        },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: scaleDownSeconds } },
    },
  };
}

/** The endpoint under a name of its own, https by the controller's certificate. */
export function endpointIngress(experiment: string, config: KubernetesConfig) {
  const { ingress } = config.endpoint;
  if (ingress === undefined) return undefined;
  const { host, className, tlsSecretName } = ingress;
  const name = endpointName(experiment);
  const backend = { service: { name, port: { name: "http" } } };
  return {
    metadata: metadataOf(experiment, config),
    spec: {
      ...(className === undefined ? {} : { ingressClassName: className }),
      tls: [{ hosts: [host], secretName: tlsSecretName }],
      rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
    },
  };
}

/** The same by the Gateway API, whose Gateway ends TLS. */
export function endpointRoute(experiment: string, config: KubernetesConfig) {
  const { route } = config.endpoint;
  if (route === undefined) return undefined;
  const name = endpointName(experiment);
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: metadataOf(experiment, config),
    spec: {
      parentRefs: [{ name: route.gateway, namespace: route.namespace }],
      hostnames: [route.host],
      rules: [{ backendRefs: [{ name, port: gatewayPort }] }],
    },
  };
}
