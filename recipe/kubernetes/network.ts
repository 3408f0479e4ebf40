import type { KubernetesConfig } from "./config.ts";
import { isScaledByKeda } from "./keda.ts";
import { commonLabels, endpointName, experimentLabel, nameOf, roleLabel } from "./labels.ts";
import { gatewayPort } from "./pod.ts";

const part = { "app.kubernetes.io/part-of": "tuneup" };
const podsOf = (name: string) => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
});

/**
 * Nothing reaches our Pods, and they reach nothing, but for what the other policies say. Each experiment brings the same under a name
 * of its own: another one that goes takes nothing of it along.
 */
export function denyAll(experiment: string, { namespace }: KubernetesConfig) {
  return {
    metadata: { name: `${nameOf(experiment)}-deny`, namespace, labels: commonLabels("pulumi") },
    spec: { podSelector: { matchLabels: part }, policyTypes: ["Ingress", "Egress"] },
  };
}

/** What prepares fetches from package indexes and hubs: names, and the web. Pods that train or serve need neither. */
export function agentEgress(experiment: string, { namespace }: KubernetesConfig) {
  return {
    metadata: { name: `${nameOf(experiment)}-agent`, namespace, labels: commonLabels("pulumi") },
    spec: {
      podSelector: { matchLabels: { ...part, [roleLabel]: "agent" } },
      policyTypes: ["Egress"],
      egress: [
        {
          ports: [
            { port: 53, protocol: "UDP" },
            { port: 53, protocol: "TCP" },
          ],
        },
        {
          ports: [
            { port: 443, protocol: "TCP" },
            { port: 80, protocol: "TCP" },
          ],
        },
      ],
    },
  };
}

/** Who may ask the endpoint: the namespaces that the experiment names, and nobody else. */
export function endpointIngressPolicy(experiment: string, config: KubernetesConfig) {
  const { allowFrom, ingress, route, kedaNamespace } = config.endpoint;
  const ways = [ingress?.namespace, route?.namespace, isScaledByKeda(config) ? kedaNamespace : undefined];
  const names = [...new Set([...allowFrom, ...ways.filter((name) => name !== undefined)])];
  return {
    metadata: { name: endpointName(experiment), namespace: config.namespace, labels: commonLabels("pulumi") },
    spec: {
      podSelector: { matchLabels: { [roleLabel]: "endpoint", [experimentLabel]: experiment } },
      policyTypes: ["Ingress"],
      ingress: names.length === 0 ? [] : [{ from: names.map(podsOf), ports: [{ port: gatewayPort, protocol: "TCP" }] }],
    },
  };
}

/** The machines of one training talk to each other, and ask for each other's names. */
export function trainingPeers(experiment: string, config: KubernetesConfig) {
  const peers = { podSelector: { matchLabels: { [roleLabel]: "trainer", [experimentLabel]: experiment } } };
  const names = {
    ports: [
      { port: 53, protocol: "UDP" },
      { port: 53, protocol: "TCP" },
    ],
  };
  return {
    metadata: {
      name: `${nameOf(experiment)}-training`,
      namespace: config.namespace,
      labels: commonLabels("pulumi"),
    },
    spec: {
      podSelector: peers.podSelector,
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: [peers] }],
      egress: [{ to: [peers] }, names],
    },
  };
}

/** What trains and publishes reaches the bucket: names, and the web. Only where `storage.artifacts` names one. */
export function publishingEgress(experiment: string, config: KubernetesConfig) {
  const { metadata, spec } = agentEgress(experiment, config);
  return {
    metadata: { ...metadata, name: `${nameOf(experiment)}-publishing` },
    spec: { ...spec, podSelector: { matchLabels: { [roleLabel]: "trainer", [experimentLabel]: experiment } } },
  };
}
