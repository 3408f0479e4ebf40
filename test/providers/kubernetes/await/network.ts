import type { Api } from "../api.ts";
import type { KubernetesObject } from "../objects.ts";
import { at, isBag, listAt, textAt } from "../../protocol/wire.ts";
import type { Readiness } from "./look.ts";

/** It has a ready Pod behind it, unless it asks for none; a load balancer has its address too. */
export async function isServiceReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const namespace = textAt(live, "metadata", "namespace");
  if (wantsPods(live) && !(await hasEndpoint(api, namespace, textAt(live, "metadata", "name")))) {
    const reason = "The Service has no ready Pod: the Pods are not ready, or its selector matches none.";
    return { ready: false, progress: "waits for ready Pods", reasons: [reason] };
  }
  if (textAt(live, "spec", "type") === "LoadBalancer" && !hasAddress(live)) {
    const reason = "The Service got no address; does the cluster have load balancers?";
    return { ready: false, progress: "waits for its address", reasons: [reason] };
  }
  return { ready: true, progress: "has Pods", reasons: [] };
}

/** The Services that it names have ready Pods, and it has its address. */
export async function isIngressReady(live: KubernetesObject, api: Api): Promise<Readiness> {
  const namespace = textAt(live, "metadata", "namespace");
  const backends = listAt(live, "spec", "rules").flatMap((rule) => listAt(rule, "http", "paths"));
  const services = [...backends.map((path) => at(path, "backend")), at(live, "spec", "defaultBackend")]
    .map((backend) => textAt(backend, "service", "name"))
    .filter((name) => name !== "");
  const reasons: string[] = [];
  for (const name of new Set(services)) {
    const service = await api.get({ apiVersion: "v1", kind: "Service", name, namespace });
    const outside = textAt(service, "spec", "type") === "ExternalName";
    if (!outside && !(await hasEndpoint(api, namespace, name))) {
      reasons.push(`The Service ${name}, which the Ingress names, has no ready Pod.`);
    }
  }
  if (!hasAddress(live)) reasons.push("The Ingress got no address; does an ingress controller run?");
  return { ready: reasons.length === 0, progress: reasons[0] ?? "has its address", reasons };
}

function wantsPods(service: KubernetesObject): boolean {
  const selector = at(service, "spec", "selector");
  const selects = isBag(selector) && Object.keys(selector).length > 0;
  return (
    selects && textAt(service, "spec", "type") !== "ExternalName" && textAt(service, "spec", "clusterIP") !== "None"
  );
}

async function hasEndpoint(api: Api, namespace: string, service: string): Promise<boolean> {
  const slices = await api.list(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    namespace,
    `kubernetes.io/service-name=${service}`,
  );
  return slices.some((slice) =>
    listAt(slice, "endpoints").some((endpoint) => at(endpoint, "conditions", "ready") !== false),
  );
}

function hasAddress(object: KubernetesObject): boolean {
  return listAt(object, "status", "loadBalancer", "ingress").length > 0;
}
