import type { KubernetesConfig } from "./config.ts";
import { endpointName } from "./labels.ts";
import { isScaled, metadataOf, scaleDownSeconds, waitingMetric } from "./endpoint.ts";
import { gatewayPort } from "./pod.ts";

/** KEDA's kind as the API server lists it. What is written below is read from its CRDs, version 2.21.0. */
export const scaledObjects = { group: "keda.sh", version: "v1alpha1", plural: "scaledobjects" } as const;
const apiVersion = `${scaledObjects.group}/${scaledObjects.version}`;

/** Does KEDA decide how many Pods serve? */
export function isScaledByKeda(config: KubernetesConfig): boolean {
  return isScaled(config) && config.endpoint.autoscaler === "keda";
}

/** Holds the endpoint's key, with which KEDA asks for the metric. `token`: the key in base64, or what will be. */
export function queueSecret<Token>(experiment: string, config: KubernetesConfig, token: Token) {
  return { metadata: namedAfter(experiment, config), type: "Opaque", data: { token } };
}

/** Where KEDA finds that key. */
export function queueAuthentication(experiment: string, config: KubernetesConfig) {
  const metadata = namedAfter(experiment, config);
  const spec = { secretTargetRef: [{ parameter: "token", name: metadata.name, key: "token" }] };
  return { apiVersion, kind: "TriggerAuthentication", metadata, spec };
}

/**
 * More Pods while requests wait: KEDA adds up the metric of all Pods that are ready, and wants `waitingRequests` of it for each. Never none:
 * where no gateway runs, nothing waits that would bring one back. `tls`: the gateways speak https, whose certificate names no Pod's address.
 */
export function queueScaler(experiment: string, config: KubernetesConfig, tls: boolean) {
  const { replicas, maxReplicas = replicas, waitingRequests } = config.endpoint;
  const name = endpointName(experiment);
  const metadata = namedAfter(experiment, config);
  return {
    apiVersion,
    kind: "ScaledObject",
    metadata,
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      minReplicaCount: replicas,
      maxReplicaCount: maxReplicas,
      advanced: {
        horizontalPodAutoscalerConfig: {
          behavior: { scaleDown: { stabilizationWindowSeconds: scaleDownSeconds } },
        },
      },
      triggers: [
        {
          type: "metrics-api",
          metricType: "AverageValue",
          metadata: {
            url: `${tls ? "https" : "http"}://${name}.${config.namespace}:${gatewayPort}/metrics`,
            format: "prometheus",
            valueLocation: waitingMetric,
            targetValue: String(waitingRequests),
            aggregateFromKubeServiceEndpoints: "true",
            aggregationType: "sum",
            authMode: "bearer",
            ...(tls ? { unsafeSsl: "true" } : {}),
          },
          authenticationRef: { name: metadata.name },
        },
      ],
    },
  };
}

function namedAfter(experiment: string, config: KubernetesConfig) {
  return { ...metadataOf(experiment, config), name: `${endpointName(experiment)}-queue` };
}
