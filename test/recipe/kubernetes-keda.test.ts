import { describe, expect, it } from "vitest";
import { kubernetes } from "../../recipe/kubernetes/config.ts";
import { isScaledByKeda, queueAuthentication, queueScaler, queueSecret } from "../../recipe/kubernetes/keda.ts";
import { endpointIngressPolicy } from "../../recipe/kubernetes/network.ts";

const configOf = (endpoint: object) => kubernetes.parse({ namespace: "ours", endpoint });
const scaled = configOf({ replicas: 2, maxReplicas: 5, waitingRequests: 3, autoscaler: "keda" });

describe("KEDA", () => {
  it("is asked for where there may be more Pods, and not otherwise", () => {
    expect(isScaledByKeda(scaled)).toBe(true);
    expect(isScaledByKeda(configOf({ autoscaler: "keda" }))).toBe(false);
    expect(isScaledByKeda(configOf({ maxReplicas: 5 }))).toBe(false);
  });

  it("adds up what waits in all Pods, and keeps as many as the experiment wants", () => {
    const { spec } = queueScaler("exp", scaled, false);
    expect(spec).toMatchObject({ minReplicaCount: 2, maxReplicaCount: 5 });
    expect(spec.scaleTargetRef.name).toBe("exp-endpoint");
    const [trigger] = spec.triggers;
    expect(trigger?.metadata).toEqual({
      url: "http://exp-endpoint.ours:8400/metrics",
      format: "prometheus",
      valueLocation: "tuneup_queue_length",
      targetValue: "3",
      aggregateFromKubeServiceEndpoints: "true",
      aggregationType: "sum",
      authMode: "bearer",
    });
  });

  it("asks by https where the gateway speaks it", () => {
    const [trigger] = queueScaler("exp", scaled, true).spec.triggers;
    expect(trigger?.metadata).toMatchObject({ url: "https://exp-endpoint.ours:8400/metrics", unsafeSsl: "true" });
  });

  it("finds the endpoint's key in a Secret of the namespace", () => {
    const secret = queueSecret("exp", scaled, "a2V5");
    const [reference] = queueAuthentication("exp", scaled).spec.secretTargetRef;
    expect(reference).toEqual({ parameter: "token", name: secret.metadata.name, key: "token" });
    expect(secret.metadata.namespace).toBe("ours");
    const [trigger] = queueScaler("exp", scaled, false).spec.triggers;
    expect(trigger?.authenticationRef).toEqual({ name: queueAuthentication("exp", scaled).metadata.name });
  });

  it("is let in to the gateways, from its own namespace, and only where it scales them", () => {
    const names = (config: typeof scaled) =>
      endpointIngressPolicy("exp", config).spec.ingress.flatMap(({ from }) =>
        from.map((peer) => peer.namespaceSelector.matchLabels["kubernetes.io/metadata.name"]),
      );
    expect(names(scaled)).toEqual(["keda"]);
    expect(
      names(configOf({ maxReplicas: 5, autoscaler: "keda", kedaNamespace: "scaling", allowFrom: ["web"] })),
    ).toEqual(["web", "scaling"]);
    expect(names(configOf({ maxReplicas: 5 }))).toEqual([]);
  });
});
